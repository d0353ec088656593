//! The server holds under abuse: during each attack every honest login succeeds, and after it memory and descriptors are as
//! before and the log knows of no panic and no internal error.
//!
//! `SIDEKEY_SLOW_CLIENTS` sets the number of slow clients (2,000; the full size is 10,000).

mod siege;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use sidekey_tests::{Answer, App, Enforcement, Options, Server, json};
use siege::burst::{Fate, Request};
use siege::raw::{self, post, statuses};
use siege::{Siege, end};
use tokio::sync::Notify;

/// Slow clients in an ordinary test run.
const SLOW_CLIENTS: usize = 2_000;
/// Waves of slow clients after which one must make do with the memory that those before it left.
const WAVES: usize = 6;
/// What it may still take, in megabytes.
const MADE_DO: u64 = 16;
/// Connections that most attacks keep busy at once.
const PARALLEL: usize = 64;

/// Runs so many attackers, `PARALLEL` at once.
async fn attackers<T>(count: usize, attacker: impl AsyncFn(usize) -> T) -> Vec<T> {
    stream::iter(0..count).map(|number| attacker(number)).buffer_unordered(PARALLEL).collect().await
}

/// Whether it is nothing, or refusals and nothing else.
#[track_caller]
fn is_refused_or_cut(answer: &str) {
    let all = statuses(answer);
    assert!(
        (answer.is_empty() || !all.is_empty()) && all.iter().all(|status| (400..500).contains(status)),
        "neither refused nor cut: {answer}"
    );
}

/// Half a head, half a body of either kind, or next to nothing, and then a byte a second.
async fn slow_client(address: &str, number: usize) -> String {
    let post = "POST /2fa/verify/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    let (beginning, byte) = match number % 4 {
        0 => ("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ".to_string(), b'x'),
        1 => (format!("{post}Content-Length: 900\r\n\r\n{{"), b' '),
        2 => (format!("{post}Transfer-Encoding: chunked\r\n\r\n10\r\n{{"), b' '),
        _ => ("G".to_string(), b'E'),
    };
    raw::trickle(address, beginning.as_bytes(), byte).await
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_and_keep_nobody_out() {
    let wanted = std::env::var("SIDEKEY_SLOW_CLIENTS").ok().map(|text| text.parse().expect("a whole number"));
    let count: usize = wanted.unwrap_or(SLOW_CLIENTS);
    let limit = siege::raise_descriptors();
    assert!(
        limit >= count as u64 + 1_000,
        "{count} slow clients need {} descriptors here and as many in the server, and the system allows {limit}: \
         raise it (`ulimit -Hn`), or set SIDEKEY_SLOW_CLIENTS to less",
        count + 1_000
    );
    let server = siege::server();
    let mut siege = Siege::lay(&server).await;
    let address = server.address();
    let clients = || join_all((0..count).map(|number| slow_client(address, number)));
    // What so many connections needed at once, some 40 KiB each, the allocator keeps for those that follow. It takes a few waves to
    // sort that: each needs less than the one before, until there is a wave that makes do with what is there.
    let at_most = 32 + count as u64 * 50 / 1024;
    let mut grown = u64::MAX;
    for wave in 1..=WAVES {
        let before = siege.resident();
        let answers = siege.attack(&format!("slow clients, wave {wave}"), at_most, clients()).await;
        assert_eq!(answers.len(), count);
        for answer in &answers {
            is_refused_or_cut(answer);
        }
        grown = siege.resident().saturating_sub(before);
        if grown <= MADE_DO {
            break;
        }
    }
    assert!(grown <= MADE_DO, "the last of {WAVES} waves still took {grown} MB more");
    end(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read_their_answers_are_cut() {
    let server = siege::server();
    let mut siege = Siege::lay(&server).await;
    let requests = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2_000);
    let attack = async {
        let clients = (0..100).map(|_| async {
            let mut stream = raw::connect(server.address()).await;
            // Ends when the server closes the connection, and not before: what it answers is read by nobody.
            while tokio::io::AsyncWriteExt::write_all(&mut stream, &requests).await.is_ok() {}
        });
        join_all(clients).await;
    };
    siege.attack("clients that never read", 64, attack).await;
    end(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_too_large_without_end_or_compressed_are_refused() {
    let server = siege::server();
    let mut siege = Siege::lay(&server).await;
    let json = |fields: &str| {
        format!("POST /2fa/verify/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{fields}\r\n")
    };
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let most = 64 << 20;
    let bomb = {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(br#"{"session_id":""#).expect("memory");
        gzip.write_all(&vec![b'x'; 8 << 20]).expect("memory");
        gzip.write_all(br#"","code":"123456"}"#).expect("memory");
        gzip.finish().expect("memory")
    };
    assert!(bomb.len() < 16 * 1024, "the bomb's {} bytes pass for a small body", bomb.len());
    let attack = attackers(300, async |number| {
        let address = server.address();
        match number % 4 {
            0 => {
                let head = json("Content-Length: 68719476736\r\n");
                let (sent, answer) = raw::flood(address, head.as_bytes(), chunk.as_bytes(), most).await;
                assert!(sent < most, "a body without end was read to the end");
                assert!(answer.is_empty() || statuses(&answer) == [413], "{answer}");
            }
            1 => {
                let head = json("Transfer-Encoding: chunked\r\n");
                let (sent, answer) = raw::flood(address, head.as_bytes(), chunk.as_bytes(), most).await;
                assert!(sent < most, "a body without end was read to the end");
                assert!(answer.is_empty() || statuses(&answer) == [413], "{answer}");
            }
            2 => {
                let fields = format!(
                    "Content-Encoding: gzip\r\nConnection: close\r\nContent-Length: {}\r\n",
                    bomb.len()
                );
                let answer = raw::send(address, &[json(&fields).as_bytes(), &bomb].concat()).await;
                assert_eq!(statuses(&answer), [415], "{answer}");
            }
            _ => {
                let body = r#"{"session_id":"x","code":"123456"}"#;
                let coding = ["deflate", "br", "zstd", "gzip, gzip", "x"][number % 5];
                let fields = format!("Content-Encoding: {coding}\r\nConnection: close\r\n");
                let answer = raw::send(address, &post("/2fa/verify/", &fields, body)).await;
                assert_eq!(statuses(&answer), [415], "{answer}");
            }
        }
    });
    siege.attack("bodies", 48, attack).await;
    end(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_garbage_is_refused_and_pipelined_requests_are_answered_one_by_one() {
    const REQUESTS: usize = 500;
    let server = siege::server();
    let mut siege = Siege::lay(&server).await;
    let unknown =
        post("/2fa/verify/", "", &json!({"session_id": "A".repeat(43), "code": "123456"}).to_string());
    let healthy = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    let last = b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec();
    let attack = attackers(200, async |number| {
        let address = server.address();
        if number % 2 == 0 {
            let pair = [healthy.as_slice(), &unknown].concat();
            let answers = raw::send(address, &[pair.repeat(REQUESTS / 2), last.clone()].concat()).await;
            let expected: Vec<u16> = [200, 404].repeat(REQUESTS / 2).into_iter().chain([404]).collect();
            assert_eq!(statuses(&answers), expected);
        } else {
            let garbage: Vec<u8> =
                (0..100_000_usize).map(|n| ((n * n * (number + 7)) >> 5).to_le_bytes()[0]).collect();
            let answers = raw::send(address, &[healthy.repeat(3), garbage, last.clone()].concat()).await;
            let all = statuses(&answers);
            let (answered, refused) = all.split_at(all.len().min(3));
            assert!(answered.iter().all(|status| *status == 200), "{answers}");
            assert!(refused.len() <= 1 && refused.iter().all(|s| (400..500).contains(s)), "{answers}");
        }
    });
    siege.attack("pipelines", 48, attack).await;
    end(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_header_fields_and_bytes_that_are_no_text_are_refused() {
    let server = siege::server();
    let mut siege = Siege::lay(&server).await;
    let most = 64 << 20;
    let attack = attackers(400, async |number| {
        let address = server.address();
        let request: Vec<u8> = match number % 8 {
            0 => {
                let begun = b"GET /healthz HTTP/1.1\r\nHost: a\r\n";
                let (sent, answer) = raw::flood(address, begun, b"X-Flood: flood\r\n", most).await;
                assert!(sent < most, "a head without end was read to the end");
                return is_refused_or_cut(&answer);
            }
            1 => {
                let (sent, answer) = raw::flood(address, b"GET /", &[b'x'; 1024], most).await;
                assert!(sent < most, "a target without end was read to the end");
                return is_refused_or_cut(&answer);
            }
            2 => format!("GET /healthz HTTP/1.1\r\n{}\r\n", "a:\r\n".repeat(3_000)).into_bytes(),
            3 => b"GET /2fa/\xff\xfe\xc0\xaf/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(),
            4 => b"GET /2fa/users/%ff%c0%af/?%ff=%fe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(),
            5 => b"GET /2fa/devices/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \xff\xfe\x80\r\nUser-Agent: \xc3\x28\r\nConnection: close\r\n\r\n".to_vec(),
            6 => b"POST /2fa/verify/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json; \xff\r\nContent-Length: 24\r\nConnection: close\r\n\r\n{\"session_id\":\"\xff\xfe\xc0\xaf\xed\xa0\x80\"}".to_vec(),
            _ => b"POST /2fa/token/revoke/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 12\r\nConnection: close\r\n\r\n\xff\xfe=%ff&%zz=%".to_vec(),
        };
        is_refused_or_cut(&raw::send(address, &request).await);
    });
    siege.attack("headers and bytes", 48, attack).await;
    end(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_come_and_go_leave_nothing_behind() {
    const CONNECTIONS: usize = 6_000;
    let server = siege::server();
    let mut siege = Siege::lay(&server).await;
    let unknown =
        post("/2fa/verify/", "", &json!({"session_id": "A".repeat(43), "code": "123456"}).to_string());
    let attack = attackers(CONNECTIONS, async |number| {
        let mut stream = raw::connect(server.address()).await;
        match number % 3 {
            0 => {}
            // With its answer unread in the buffer, the close becomes a reset.
            1 => drop(tokio::io::AsyncWriteExt::write_all(&mut stream, &unknown).await),
            _ => drop(tokio::io::AsyncWriteExt::write_all(&mut stream, &unknown[..unknown.len() - 9]).await),
        }
    });
    siege.attack("churn", 48, attack).await;
    end(server);
}

/// How many of the answers were judged; each of the others says to wait.
fn judged(answers: &[Answer]) -> usize {
    let is_judged = |answer: &&Answer| match (answer.status, answer["code"].as_str()) {
        (400, Some("INVALID_CODE")) | (403, Some("MAX_ATTEMPTS_EXCEEDED")) => true,
        (429, Some("ACCOUNT_THROTTLED")) => false,
        _ => panic!("no answer to a wrong code: {answer}"),
    };
    answers.iter().filter(is_judged).count()
}

/// How many waits, the first of 30 s and each twice as long as the one before, are over after so many seconds of failures.
fn waits_over(seconds: u64) -> usize {
    (1..=32).take_while(|waits| 30 * ((1_u64 << waits) - 1) <= seconds).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_thousands_of_wrong_codes_at_once_no_more_are_judged_than_the_budget_allows() {
    /// Four free ones, and the one that starts the wait.
    const BUDGET: usize = 5;
    const ACCOUNTS: usize = 5;
    const FIRST: usize = 2_000;
    const OTHERS: usize = 300;
    let server = siege::server();
    let mut siege = Siege::lay_without_clock(&server).await;
    let app = siege.app.clone();
    let victims: Vec<_> = {
        let mut victims = Vec::new();
        for number in 0..ACCOUNTS {
            victims.push(app.enrol(&format!("victim-{number}")).await);
        }
        victims
    };
    // Four answers each, so that it is never the session that ends.
    let mut answers = Vec::new();
    for (number, victim) in victims.iter().enumerate() {
        let count = if number == 0 { FIRST } else { OTHERS };
        let codes = victim.phone.wrong_codes(&server, count).await;
        for codes in codes.chunks(4) {
            let session = victim.challenge().await;
            answers.extend(codes.iter().map(|code| (number, session.clone(), code.clone())));
        }
    }
    let mut sessions = Vec::new();
    for _ in 0..50 {
        sessions.push(victims[0].challenge().await);
    }
    let began = server.now().await;
    let attack = async {
        let answers = answers.iter().map(|(number, session, code)| {
            let victim = &victims[*number];
            let body = json!({"session_id": session, "code": code});
            async move {
                let call = victim.server().post("/2fa/verify/").header("connection", "close").json(body);
                (*number, call.await)
            }
        });
        let codes = stream::iter(answers).buffer_unordered(4 * PARALLEL).collect::<Vec<_>>();
        let backup_codes = attackers(200, async |number| {
            let session = &sessions[number / 4];
            let code = format!("0000-0000-0000-{number:04}");
            let body = json!({"session_id": session, "backup_code": code});
            server.post("/2fa/verify/backup/").header("connection", "close").json(body).await
        });
        tokio::join!(codes, backup_codes)
    };
    let (codes, backup_codes) = siege.attack("wrong codes", 64, attack).await;
    let lasted = server.now().await - began;
    // On a slow machine waits come to their end during the attack, and each lets one more answer be judged.
    let allowed = BUDGET..=BUDGET + waits_over(lasted);
    let mut by_victim = vec![Vec::new(); ACCOUNTS];
    for (number, answer) in codes {
        by_victim[number].push(answer);
    }
    for (victim, answers) in victims.iter().zip(&by_victim) {
        let judged = judged(answers);
        assert!(allowed.contains(&judged), "{}: {judged} in {lasted} s", victim.id);
        assert!(!app.state(&victim.id).await["throttled_until"].is_null());
    }
    assert!(allowed.contains(&judged(&backup_codes)), "the budget of backup codes is one of its own");
    end(server);
}

/// A server can be told to stop at any moment, so these are some of them: answers until it is told.
const BURSTS: [usize; 3] = [40, 150, 400];
/// A server that stops gives requests in flight 10 s.
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// Connections of a burst.
const CLIENTS: usize = 32;

/// What a client did before the server stopped: the sessions that it was told to be open, and of those that it answered the
/// index with what became of it.
#[derive(Default)]
struct Done {
    opened: Vec<String>,
    verified: Option<(usize, Fate)>,
    closed: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_in_the_midst_of_a_stop_is_on_disk_and_the_exit_code_is_zero() {
    for until in BURSTS {
        stop_amid_a_burst(until).await;
    }
}

async fn stop_amid_a_burst(until: usize) {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let options = Options { data: Some(folder.path().join("data")), ..Options::default() };
    let server = Server::with(options.clone());
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let mut phones = vec![user.phone.clone()];
    for name in ["b", "c", "d", "e", "f", "g"] {
        phones.push(user.add_device(name).await.0);
    }
    server.advance(120).await;
    let step = server.next_step().await;
    let mut answers = Vec::new();
    for phone in &phones {
        let (session, code) = (user.challenge().await, phone.code_of(step));
        answers.push((session.clone(), code.clone(), Request::verify(&session, &code)));
    }
    let open = Request::open(&app, "ann");
    let (address, id, key, key_id) =
        (server.address().to_string(), app.id.clone(), app.key.clone(), app.key_id.clone());

    let (answered, enough) = (AtomicUsize::new(0), Notify::new());
    let client = async |number: usize| {
        let mut done = Done::default();
        let answer = answers.get(number).map(|(_, _, request)| request);
        for round in 0.. {
            // At different times, so that some fall before the stop and some into it.
            if let Some(request) = answer.filter(|_| round == number * until / 150) {
                done.verified = Some((number, request.send(&address).await));
            }
            match open.send(&address).await {
                Fate::Answered(201, body) => {
                    done.opened.push(body["session_id"].as_str().expect("an id").to_string());
                    if answered.fetch_add(1, Ordering::Relaxed) + 1 == until {
                        enough.notify_one();
                    }
                }
                Fate::Answered(status, body) => panic!("{status}: {body}"),
                Fate::Closed => {
                    done.closed += 1;
                    break;
                }
            }
        }
        done
    };
    let stopping = async {
        enough.notified().await;
        let (tell, told) = tokio::sync::oneshot::channel();
        let pid = server.pid();
        std::thread::spawn(move || tell.send(server.stop()));
        tokio::time::timeout(STOP_LIMIT, told)
            .await
            .map(|stopped| stopped.expect("it tells"))
            .map_err(|_| pid)
    };
    let clients = tokio::time::timeout(2 * STOP_LIMIT, join_all((0..CLIENTS).map(client)));
    let (done, stopped) = tokio::join!(clients, stopping);
    let stopped = stopped
        .unwrap_or_else(|pid| panic!("the server, process {pid}, has not stopped within {STOP_LIMIT:?}"));
    let done = done.expect("every request gets an answer or a closed connection");
    assert_eq!(stopped.status.code(), Some(0), "{}", stopped.log);
    siege::check_log(&stopped.log);

    let server = Server::with(options);
    let app = App { server: &server, id, key, key_id };
    let opened: Vec<&String> = done.iter().flat_map(|done| &done.opened).collect();
    assert!(opened.len() >= until && done.iter().all(|done| done.closed == 1));
    for session in &opened {
        assert_eq!(app.session_status(session).await, "pending");
    }
    let mut accepted = Vec::new();
    for (number, fate) in done.iter().filter_map(|done| done.verified.as_ref()) {
        let (session, code, _) = &answers[*number];
        match fate {
            Fate::Answered(200, _) => {
                assert_eq!(app.session_status(session).await, "verified");
                accepted.push(code);
            }
            Fate::Answered(status, body) => panic!("{status}: {body}"),
            // Whether it was judged before the connection broke, nobody was told.
            Fate::Closed => {}
        }
    }
    // Four failures are free.
    for code in accepted.iter().take(4) {
        let session = app.challenge("ann").await;
        let body = json!({"session_id": session, "code": code});
        server.post("/2fa/verify/").json(body).await.refused(400, "INVALID_CODE");
    }
    println!(
        "stop after {until}: {} sessions and {} logins acknowledged, all on disk",
        opened.len(),
        accepted.len()
    );
    end(server);
}
