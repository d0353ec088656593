use mail_parser::MessageParser;
use proptest::prelude::*;
use sidekey_core::event::Event;
use sidekey_core::id::{AccountName, DeviceId, Incarnation};
use sidekey_core::login::Method;

use super::super::owner::{DisputeLink, Owner, Owners};
use super::super::testing::{Nobody, entry};
use super::*;
use crate::entropy::Entropy;
use crate::keyring::Pepper;
use crate::pages::locale::{self, english};
use crate::store::StoreError;
use crate::token::dispute::DisputeToken;

const NOW: u64 = 1_790_000_000;
/// What everybody of these tests may try to bring into a message.
const HOSTILE: &str = "x\r\nBcc: eve@example.com\r\n\r\n<script>alert(1)</script> https://evil.example/";

struct One(Owner);

impl Owners for One {
    fn find<'a>(&'a self, _: &'a Notice) -> Pending<'a, Result<Option<Owner>, StoreError>> {
        Box::pin(async { Ok(Some(self.0.clone())) })
    }
}

fn owner(name: &str, app: &str) -> Owner {
    Owner {
        account_name: AccountName::parse(name).ok(),
        app: app.to_owned(),
        issuer: "Sidekey".to_owned(),
        backup_codes_left: Some(3),
        language: None,
        link: None,
    }
}

/// An owner whose mail has a link, and the link.
fn owner_with_link(name: &str, app: &str, notice: &Notice) -> (Owner, String) {
    let (pepper, birth) = (Pepper::generate(&mut Entropy), Incarnation::generate(&mut Entropy));
    let token = DisputeToken::of(&pepper, notice, birth).unwrap();
    let link = DisputeLink::new("https://login.example/2fa/dispute/".to_owned(), token);
    let text = link.expose();
    (Owner { link: Some(link), ..owner(name, app) }, text)
}

fn mail(to: To) -> Mail {
    let transport = server::transport("smtp://127.0.0.1:1", None, true).unwrap();
    Mail::new(transport, mailbox("from", "Sidekey <no-reply@example.com>").unwrap(), to)
}

fn notice(event: &Event) -> Notice {
    Notice::read(&[7; 16], 41, &entry("ann", NOW, event)).unwrap()
}

async fn message(mail: &Mail, notice: &Notice, owners: &dyn Owners) -> Option<String> {
    let with = Surroundings { now: UnixTime::from_secs(NOW + 60), owners };
    mail.message(notice, &with).await.unwrap().map(|message| String::from_utf8(message.formatted()).unwrap())
}

#[tokio::test]
async fn a_mail_about_the_links_use_carries_no_other_link() {
    let disputed = notice(&Event::OwnerDisputed);
    let (owner, link) = owner_with_link("ann@example.com", "Shop", &disputed);
    let text = message(&mail(To::Owner(english())), &disputed, &One(owner)).await.unwrap();
    let read = MessageParser::default().parse(text.as_bytes()).unwrap();
    for body in [read.body_text(0).unwrap(), read.body_html(0).unwrap()] {
        assert!(!body.contains("/2fa/dispute/") && !body.contains(&link), "{body}");
    }
}

#[tokio::test]
async fn an_owner_reads_what_happened_when_and_from_where_in_both_parts() {
    let used = Event::SecondFactorAccepted { method: Method::BackupCode, device: None };
    let (owner, link) = owner_with_link("ann@example.com", "Müller & Söhne <Shop>", &notice(&used));
    assert!(link.starts_with("https://login.example/2fa/dispute/?link="), "{link}");
    let token = link.rsplit('=').next().unwrap();
    assert!(!format!("{owner:?}").contains(token), "no token in a log");
    let text = message(&mail(To::Owner(english())), &notice(&used), &One(owner)).await.unwrap();
    let read = MessageParser::default().parse(text.as_bytes()).unwrap();
    assert_eq!(read.subject(), Some("Müller & Söhne <Shop>: A backup code was used"));
    assert_eq!(read.to().unwrap().first().unwrap().address(), Some("ann@example.com"));
    assert_eq!(read.from().unwrap().first().unwrap().address(), Some("no-reply@example.com"));
    assert_eq!(read.message_id(), Some("msg_0707070707070707_41@example.com"));
    assert_eq!(read.date().unwrap().to_timestamp(), i64::try_from(NOW + 60).unwrap());
    assert_eq!(read.header_raw("Auto-Submitted").unwrap().trim(), "auto-generated");
    let (plain, html) = (read.body_text(0).unwrap(), read.body_html(0).unwrap());
    for part in [&plain, &html] {
        assert!(part.contains("A backup code of your account at"), "{part}");
        assert!(part.contains("2026-09-21 14:13:20 UTC") && part.contains("203.0.113.7"), "{part}");
        assert!(part.contains("Backup codes left: 3"), "{part}");
        assert!(part.contains(&link) && part.contains("until 2026-09-28 14:13:20 UTC"), "{part}");
        let links = part.matches("http").count();
        assert!(
            links == part.matches(&*link).count() && !part.contains("src="),
            "no other, nothing from elsewhere: {part}"
        );
    }
    assert!(html.contains(&format!("<a href=\"{link}\"")), "{html}");
    assert!(plain.contains("Müller & Söhne <Shop>"), "{plain}");
    assert!(html.contains("Söhne") && !html.contains("<Shop>"), "{html}");
}

#[tokio::test]
async fn owners_are_told_of_what_concerns_their_security_and_of_nothing_else() {
    let (device, until) = (DeviceId::from_bytes([7; 16]), UnixTime::from_secs(NOW));
    let owners = One(owner("ann@example.com", "Shop"));
    let way = mail(To::Owner(english()));
    let told = async |event: Event| message(&way, &notice(&event), &owners).await.is_some();
    for event in [
        Event::DeviceConfirmed { device, first: true },
        Event::DeviceConfirmed { device, first: false },
        Event::DeviceRemoved { device },
        Event::DeviceDisabled { device },
        Event::DeviceEnabled { device },
        Event::TwoFactorReset,
        Event::TwoFactorDisabled,
        Event::AccountThrottled { method: Method::Otp, until, notify: true },
        Event::AccountLocked,
        Event::SecondFactorAccepted { method: Method::BackupCode, device: None },
        Event::BackupCodesRenewed,
        Event::SignedOutEverywhere,
        Event::OwnerDisputed,
        Event::UserImported { devices: 2, backup_codes: 0 },
    ] {
        assert!(told(event.clone()).await, "{event:?}");
    }
    for event in [
        Event::AccountThrottled { method: Method::Otp, until, notify: false },
        Event::AnswerRefused { method: Method::Otp, replayed: false },
        Event::SecondFactorAccepted { method: Method::Otp, device: Some(device) },
        Event::SetupStarted { device },
        Event::UserErased,
    ] {
        assert!(!told(event.clone()).await, "{event:?}");
    }
    assert!(message(&way, &notice(&Event::AccountLocked), &Nobody).await.is_none(), "the account is gone");
}

#[tokio::test]
async fn of_what_an_operator_did_an_owner_reads_who_to_ask_and_not_where_operators_are() {
    for event in [Event::TwoFactorReset, Event::SignedOutEverywhere, Event::AccountLocked] {
        let mut notice = notice(&event);
        let owners = One(owner_with_link("ann@example.com", "Shop", &notice).0);
        let actor = serde_json::json!({"kind": "operator", "name": "bob"});
        notice.entry.insert("actor".to_owned(), actor);
        notice.entry.insert("reason".to_owned(), "lost phone, spoke on 555-0100".into());
        let text = message(&mail(To::Owner(english())), &notice, &owners).await.unwrap();
        let read = MessageParser::default().parse(text.as_bytes()).unwrap();
        for part in [read.body_text(0).unwrap(), read.body_html(0).unwrap()] {
            assert!(part.contains("The people who run Shop did this"), "{part}");
            assert!(!part.contains("If this was you") && !part.contains("http"), "{part}");
            for hidden in ["203.0.113.7", "bob", "555"] {
                assert!(!part.contains(hidden), "{hidden} in {part}");
            }
        }
    }
}

/// Every language has every sentence, see `pages::locale`; here, that mail is written in one alone.
#[tokio::test]
async fn an_owner_reads_their_own_language_from_its_own_side() {
    let (device, until) = (DeviceId::from_bytes([7; 16]), UnixTime::from_secs(NOW));
    let is_arabic = |c: char| matches!(c, '\u{600}'..='\u{6ff}');
    for (tag, direction, when) in [("de", "ltr", "Wann:"), ("ja", "ltr", "日時:"), ("ar", "rtl", "الوقت:")]
    {
        let language = locale::first_of(std::iter::once(tag));
        for event in [
            Event::DeviceConfirmed { device, first: true },
            Event::AccountThrottled { method: Method::Otp, until, notify: true },
            Event::AccountLocked,
            Event::SecondFactorAccepted { method: Method::BackupCode, device: None },
            Event::TwoFactorReset,
            Event::UserImported { devices: 2, backup_codes: 0 },
        ] {
            let owners = One(Owner { language, ..owner("ann@example.com", "Shop") });
            let text = message(&mail(To::Owner(english())), &notice(&event), &owners).await.unwrap();
            let read = MessageParser::default().parse(text.as_bytes()).unwrap();
            let (plain, html) = (read.body_text(0).unwrap(), read.body_html(0).unwrap());
            assert!(plain.contains(when) && html.contains(when), "{plain}");
            assert!(html.contains(&format!("<html lang=\"{tag}\" dir=\"{direction}\">")), "{html}");
            for english in [" your ", " was ", " the ", "When:"] {
                assert!(!plain.contains(english), "{english} in {plain}");
            }
            if tag == "ar" {
                assert!(read.subject().unwrap().contains(is_arabic), "{text}");
                assert!(
                    plain.contains("\u{2068}Shop\u{2069}"),
                    "the name does not reorder the words around it: {plain}"
                );
            }
        }
    }
    let japanese = locale::first_of(std::iter::once("ja")).unwrap();
    let of_nobody_seen = One(owner("ann@example.com", "Shop"));
    let text =
        message(&mail(To::Owner(japanese)), &notice(&Event::AccountLocked), &of_nobody_seen).await.unwrap();
    let read = MessageParser::default().parse(text.as_bytes()).unwrap();
    assert_eq!(read.subject(), Some("Shop: コードがロックされました"));
}

#[tokio::test]
async fn an_owner_whose_name_is_no_address_is_not_written_to() {
    let way = mail(To::Owner(english()));
    for name in [
        "ann",
        "ann@localhost",
        "\"ann b\"@example.com",
        "ann@[127.0.0.1]",
        "a@b@example.com",
        "@example.com",
    ] {
        let owners = One(owner(name, "Shop"));
        assert!(message(&way, &notice(&Event::AccountLocked), &owners).await.is_none(), "{name}");
    }
    let owners = One(owner("änn@exämple.com", "Shop"));
    assert!(message(&way, &notice(&Event::AccountLocked), &owners).await.is_some());
}

#[tokio::test]
async fn nothing_that_somebody_typed_becomes_a_header_a_tag_or_a_link() {
    let mut hostile = notice(&Event::TwoFactorDisabled);
    hostile.entry.insert("user_agent".to_owned(), format!("Firefox/1 Linux {HOSTILE}").into());
    hostile.user = Some(HOSTILE.to_owned());
    let owners = One(owner("ann@example.com", HOSTILE));
    let operators =
        To::operators(&["Ops <ops@example.com>".to_owned(), "ops2@example.com".to_owned()]).unwrap();
    for to in [To::Owner(english()), operators] {
        let text = message(&mail(to), &hostile, &owners).await.unwrap();
        let read = MessageParser::default().parse(text.as_bytes()).unwrap();
        assert!(read.bcc().is_none() && read.subject().unwrap().contains("Bcc: eve"), "{text}");
        assert!(read.body_html(0).is_none_or(|html| !html.contains("<script")), "{text}");
    }
    let owners = One(owner("ann@example.com", "Shop"));
    let text = message(&mail(To::Owner(english())), &hostile, &owners).await.unwrap();
    let read = MessageParser::default().parse(text.as_bytes()).unwrap();
    let plain = read.body_text(0).unwrap();
    assert!(plain.contains("203.0.113.7, Firefox, Linux") && !plain.contains("evil"), "{plain}");
}

#[test]
fn an_address_in_the_settings_is_one() {
    for text in ["ops@example.com", "Ops <ops@example.com>", "\"Müller, A.\" <a@example.com>"] {
        assert!(mailbox("to", text).is_ok(), "{text}");
    }
    for text in ["", "ops", "ops@example.com\r\nBcc: eve@example.com", "a@example.com, b@example.com", "<>"] {
        assert!(mailbox("to", text).is_err(), "{text}");
    }
}

#[test]
fn the_password_is_never_shown() {
    let login = server::Login { user: "ann".to_owned(), password: "geheim".to_owned().into() };
    let transport = server::transport("smtps://mail.example.com", Some(&login), false).unwrap();
    let mail = Mail::new(transport, mailbox("from", "a@example.com").unwrap(), To::Owner(english()));
    assert!(!format!("{mail:?}").contains("geheim"));
}

proptest! {
    #[test]
    fn a_name_that_is_written_to_has_nothing_that_smtp_could_misread(name in r"[a-z@.<>\r\n ,;\x22]{0,40}") {
        if let Some(address) = address(&name) {
            let text = address.to_string();
            prop_assert!(!text.contains(['\r', '\n', ' ', '<', '>', ',', ';', '"']), "{}", text);
            prop_assert_eq!(text.matches('@').count(), 1);
        }
    }
}
