use clap::Parser;

use super::{BasePath, LogFormat, PublicUrl, ServeSettings, Settings};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    serve: ServeSettings,
}

fn check(flags: &[&str]) -> Result<Settings, Vec<String>> {
    let arguments = std::iter::once("sidekey").chain(flags.iter().copied());
    Program::try_parse_from(arguments).unwrap().serve.check()
}

fn mistakes(flags: &[&str]) -> Vec<String> {
    check(flags).unwrap_err()
}

#[test]
fn without_flags_the_server_is_local() {
    let settings = check(&[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.issuer, "Sidekey");
    assert_eq!(settings.base_path.as_str(), "");
    assert!(!settings.development);
    assert_eq!(settings.log, None);
    assert_eq!(settings.public_url_on(settings.listen).as_str(), "http://127.0.0.1:8080");
}

#[test]
fn the_default_public_url_has_the_real_port_and_a_host_that_can_be_reached() {
    let settings = check(&["--listen", "127.0.0.1:0"]).unwrap();
    assert_eq!(settings.public_url_on("0.0.0.0:4711".parse().unwrap()).as_str(), "http://127.0.0.1:4711");
    let url = settings.public_url_on("[::]:4711".parse().unwrap());
    assert_eq!(url.as_str(), "http://[::1]:4711");
    assert!(url.is_loopback());
}

#[test]
fn every_mistake_is_named_at_once() {
    let all = mistakes(&[
        "--listen",
        "here",
        "--public-url",
        "ftp://x",
        "--base-path",
        "/a//b",
        "--issuer",
        "a:b",
        "--trusted-proxy",
        "10.0.0.0/8,nonsense",
        "--log",
        "xml",
    ]);
    let flags = ["--listen", "--public-url", "--base-path", "--issuer", "--trusted-proxy", "--log"];
    assert_eq!(all.len(), flags.len(), "{all:?}");
    for (mistake, flag) in all.iter().zip(flags) {
        assert!(mistake.contains(flag), "{mistake}");
    }
}

#[test]
fn plain_http_is_for_this_machine_and_development_only() {
    assert!(mistakes(&["--public-url", "http://login.example"])[0].contains("https://"));
    assert!(mistakes(&["--listen", "0.0.0.0:8080"])[0].contains("--public-url"));
    assert!(mistakes(&["--public-url", "http://localhost.example"])[0].contains("https://"));
    for accepted in [
        &["--public-url", "http://localhost:8080"][..],
        &["--public-url", "http://[::1]:8080"],
        &["--public-url", "http://127.8.0.1"],
        &["--listen", "0.0.0.0:80", "--public-url", "https://login.example"],
        &["--public-url", "http://login.example", "--development"],
    ] {
        assert!(check(accepted).is_ok(), "{accepted:?}");
    }
}

#[test]
fn a_public_url_is_brought_into_one_form() {
    for (typed, text, origin) in [
        ("https://Login.Example/", "https://login.example", "https://login.example"),
        ("https://login.example:443", "https://login.example", "https://login.example"),
        ("https://login.example:8443/auth/", "https://login.example:8443/auth", "https://login.example:8443"),
        ("http://localhost:80", "http://localhost", "http://localhost"),
    ] {
        let url = PublicUrl::parse(typed).unwrap();
        assert_eq!((url.as_str(), url.origin()), (text, origin), "{typed}");
    }
    for refused in [
        "login.example",
        "https://",
        "https://a@b",
        "https://a/?x",
        "https://a/#x",
        "https://a/../b",
        "javascript:x",
        "",
    ] {
        assert!(PublicUrl::parse(refused).is_err(), "{refused}");
    }
}

#[test]
fn a_base_path_is_brought_into_one_form() {
    for (typed, text) in [("", ""), ("/", ""), ("api", "/api"), ("/api/", "/api"), ("/a/b.c", "/a/b.c")] {
        assert_eq!(BasePath::parse(typed).unwrap().as_str(), text);
    }
    for refused in ["//", "/a//b", "/..", "/a/./b", "/a%2fb", "/a;b", "/ä", "/a b", "/{{base}}", "/\""] {
        assert!(BasePath::parse(refused).is_err(), "{refused}");
    }
}

#[test]
fn an_issuer_fits_into_a_key_uri() {
    assert_eq!(check(&["--issuer", "Zażółć & Co."]).unwrap().issuer, "Zażółć & Co.");
    for refused in ["", " x", "a:b", "a\nb", &"x".repeat(101), &"ü".repeat(51)] {
        assert!(mistakes(&["--issuer", refused])[0].contains("--issuer"), "{refused:?}");
    }
}

#[test]
fn proxies_are_addresses_or_blocks() {
    let settings =
        check(&["--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "::1", "--log", "json"]).unwrap();
    let texts: Vec<_> = settings.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(settings.log, Some(LogFormat::Json));
}

#[test]
fn the_rate_limit_is_generous_and_can_be_turned_off() {
    let rate = check(&[]).unwrap().rate.unwrap();
    assert_eq!((rate.per_second.get(), rate.burst.get()), (100, 1_000));
    assert_eq!(check(&["--rate-limit", "0", "--rate-burst", "0"]).unwrap().rate, None);
    for refused in [&["--rate-burst", "0"][..], &["--rate-limit", "1000001"], &["--rate-burst", "1000001"]] {
        assert!(mistakes(refused)[0].contains("--rate-burst"), "{refused:?}");
    }
}

#[test]
fn development_mode_is_for_this_machine() {
    assert!(check(&["--listen", "[::1]:0", "--development"]).is_ok());
    assert!(mistakes(&["--listen", "0.0.0.0:0", "--development"])[0].contains("this machine only"));
}

/// What a file with this text leads to, with these flags.
fn check_file(text: &str, flags: &[&str]) -> Result<Settings, Vec<String>> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let mut all = vec!["--config", file.path().to_str().unwrap()];
    all.extend(flags);
    check(&all)
}

#[test]
fn a_flag_counts_before_the_file() {
    let text =
        "listen = \"127.0.0.1:9000\"\nissuer = \"Shop\"\ntrusted_proxies = [\"10.0.0.1\"]\nrate_limit = 0\n";
    let settings = check_file(text, &["--issuer", "Other"]).unwrap();
    assert_eq!((settings.listen.to_string().as_str(), settings.issuer.as_str()), ("127.0.0.1:9000", "Other"));
    assert_eq!((settings.trusted_proxies.len(), settings.rate), (1, None));
    assert!(check_file("development = true", &[]).unwrap().development);
    assert!(!check_file("development = true", &["--development=false"]).unwrap().development);
    assert!(check_file("development = false", &["--development"]).unwrap().development);
}

#[test]
fn a_file_that_cannot_be_read_is_said_to_be() {
    assert!(check(&["--config", "/nowhere/sidekey.toml"]).unwrap_err()[0].contains("/nowhere/sidekey.toml"));
    assert!(check_file("listen = ", &[]).unwrap_err()[0].contains("line 1"));
    assert!(check_file("lisen = \"x\"", &[]).unwrap_err()[0].contains("lisen"));
    assert!(check_file("config = \"x\"", &[]).is_err());
}
