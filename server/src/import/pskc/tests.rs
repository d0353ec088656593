use sidekey_core::totp::Algorithm;

use super::*;
use crate::import::testing::{file, fixture, key, user};

#[test]
fn plain_and_encrypted_containers_say_the_same() {
    for (name, options) in [
        ("pskc-plain.xml", SourceOptions::default()),
        ("pskc-preshared.xml", key("pskc-preshared.key")),
        ("pskc-passphrase.xml", key("pskc-passphrase.key")),
    ] {
        let source = read(&[fixture(name)], &options).unwrap();
        let ann = user(&source, "ann");
        assert_eq!(ann.devices[0].secret.expose(), b"12345678901234567890", "{name}");
        assert_eq!(ann.devices[0].name.as_ref().unwrap().as_str(), "1000001");
        let bob = user(&source, "bob");
        assert_eq!(bob.devices[0].secret.expose().len(), 32);
        assert_eq!(bob.devices[0].params.algorithm, Algorithm::Sha256);
        assert_eq!((bob.devices[0].params.digits.count(), bob.devices[0].params.period.seconds()), (8, 60));
        assert_eq!(user(&source, "cleo").left_out, [DeviceRefusal::Hotp]);
    }
}

#[test]
fn a_missing_or_wrong_key_is_said() {
    let files = [fixture("pskc-preshared.xml")];
    assert!(matches!(read(&files, &SourceOptions::default()), Err(ImportError::KeyNeeded(_))));
    for wrong in ["00000000000000000000000000000000", "zz", "1234"] {
        let options =
            SourceOptions { source_key: Some(Zeroizing::new(wrong.to_owned())), ..SourceOptions::default() };
        assert!(read(&files, &options).is_err(), "{wrong}");
    }
}

#[test]
fn a_value_that_was_changed_does_not_open() {
    let whole = fixture("pskc-preshared.xml");
    let text = whole.text().unwrap();
    let at = text.rfind("<xenc:CipherValue>").unwrap() + 20;
    let first = text.find("<pskc:ValueMAC>").unwrap() + 16;
    for position in [at, first] {
        let mut changed = text.to_owned().into_bytes();
        changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
        let changed = file("changed.xml", std::str::from_utf8(&changed).unwrap());
        let source = read(&[changed], &key("pskc-preshared.key")).unwrap();
        let refused = source.users.iter().filter_map(|read| read.outcome.as_ref().ok());
        let unreadable =
            refused.filter(|user| user.left_out.contains(&DeviceRefusal::SecretUnreadable)).count();
        // The last key is counter-based, and refused for that.
        assert!(unreadable == 1 || position == at, "{position}");
    }
}

#[test]
fn a_table_says_whose_a_token_is() {
    let container = "<KeyContainer><KeyPackage><DeviceInfo><SerialNo>77</SerialNo></DeviceInfo>\
        <Key Id=\"k\" Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:totp\"><AlgorithmParameters>\
        <ResponseFormat Length=\"6\" Encoding=\"DECIMAL\"/></AlgorithmParameters><Data><Secret><PlainValue>\
        MTIzNDU2Nzg5MDEy\n MzQ1Njc4OTA=</PlainValue></Secret></Data></Key></KeyPackage></KeyContainer>";
    let alone = read(&[file("c.xml", container)], &SourceOptions::default()).unwrap();
    assert_eq!(alone.users[0].outcome, Err(Refusal::Missing("UserId")));
    for table in ["serial,user_id\n77,ann\n78,bob\n", "user_id;key_id\nann;k\n;other\n"] {
        let files = [file("c.xml", container), file("who.csv", table)];
        let source = read(&files, &SourceOptions::default()).unwrap();
        assert_eq!(user(&source, "ann").devices[0].params, TotpParams::default());
    }
    let wrong =
        read(&[file("c.xml", container), file("who.csv", "serial,x\n1,2\n")], &SourceOptions::default());
    assert_eq!(wrong.unwrap_err().to_string(), "who.csv, row 1: there is no column `user_id`");
}

#[test]
fn what_cannot_be_judged_here_is_refused_by_name() {
    let plain = fixture("pskc-plain.xml");
    let plain = plain.text().unwrap();
    let refused = |from: &str, to: &str| {
        let changed = plain.replacen(from, to, 1);
        assert_ne!(changed, plain, "{from}");
        let source = read(&[file("c.xml", &changed)], &SourceOptions::default()).unwrap();
        user(&source, "ann").left_out.first().copied()
    };
    for (from, to, refusal) in [
        ("pskc:totp\"", "pskc:ocra-1\"", DeviceRefusal::OtherKind),
        ("Encoding=\"DECIMAL\"", "Encoding=\"HEXADECIMAL\"", DeviceRefusal::Digits),
        ("Encoding=\"DECIMAL\"", "Encoding=\"DECIMAL\" CheckDigits=\"true\"", DeviceRefusal::Digits),
        ("Length=\"6\"", "Length=\"12\"", DeviceRefusal::Digits),
        (">30<", ">0<", DeviceRefusal::Period),
        (">30<", ">half a minute<", DeviceRefusal::Period),
        ("MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=", "MTIz", DeviceRefusal::SecretTooShort),
        ("MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=", "!", DeviceRefusal::SecretUnreadable),
        (
            "<pskc:UserId>UID=ann",
            "<pskc:Policy><pskc:PINPolicy PINUsageMode=\"Append\"/></pskc:Policy><pskc:UserId>UID=ann",
            DeviceRefusal::OtherKind,
        ),
    ] {
        assert_eq!(refused(from, to), Some(refusal), "{to}");
    }
}

#[test]
fn rfc_6030_figures_are_read_and_their_counters_refused() {
    let source = read(&[fixture("rfc6030-figure5.xml")], &SourceOptions::default());
    assert!(source.is_ok_and(|source| !source.users.is_empty()));
    let owner = file("who.csv", "serial,user_id\n987654321,ann\n");
    for (name, given) in
        [("rfc6030-figure6.xml", "12345678901234567890123456789012"), ("rfc6030-figure7.xml", "qwerty")]
    {
        let options =
            SourceOptions { source_key: Some(Zeroizing::new(given.to_owned())), ..SourceOptions::default() };
        let files = [fixture(name), file("who.csv", owner.text().unwrap())];
        assert_eq!(user(&read(&files, &options).unwrap(), "ann").left_out, [DeviceRefusal::Hotp]);
    }
}

#[test]
fn hostile_files_are_refused_and_nothing_else_happens() {
    let entities = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\">]><KeyContainer>&a;</KeyContainer>";
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    for text in ["<", "<KeyContainer>", "<html></html>", entities, &deep, "<a/><b/>"] {
        let error = read(&[file("c.xml", text)], &SourceOptions::default()).unwrap_err();
        assert!(error.to_string().starts_with("c.xml"), "{error}");
    }
}
