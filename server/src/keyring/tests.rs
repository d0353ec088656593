use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::entropy::Entropy;
use crate::store::{Batch, Engine as _, Key, Options, SledEngine};

/// A key made once, so that a change of the text form or of the ids is noticed.
const LINE: &str = "skm1:b5ba7f7c:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn keyring() -> Keyring {
    Keyring::new(MasterKey::generate(&mut Entropy))
}

#[test]
fn a_key_survives_its_text_form() {
    let key = MasterKey::generate(&mut Entropy);
    let read = Keyring::parse(&key.to_line()).unwrap();
    assert_eq!(read.first.secret(), key.secret());
    assert_eq!(*Keyring::parse(LINE).unwrap().first.to_line(), LINE);
}

#[test]
fn comments_and_empty_lines_do_not_count_and_the_first_key_seals() {
    let (new, old) = (MasterKey::generate(&mut Entropy), MasterKey::generate(&mut Entropy));
    let text = format!("# keys\n\n{}\r\n  {}  \n", *new.to_line(), *old.to_line());
    let keyring = Keyring::parse(&text).unwrap();
    assert_eq!(keyring.ids().collect::<Vec<_>>(), [new.id(), old.id()]);
    let before = Keyring::new(old).seal(b"a", b"secret", &mut Entropy);
    assert_eq!(**keyring.open(b"a", &before).unwrap(), *b"secret");
    assert!(keyring.is_outdated(&before));
    assert!(!keyring.is_outdated(&keyring.seal(b"a", b"secret", &mut Entropy)));
}

#[test]
fn a_line_that_is_no_key_is_refused_by_its_number_without_repeating_it() {
    let mistyped = LINE.replace("AAEC", "AAED");
    let malformed = |line| ParseError::Malformed { line };
    let id = Keyring::parse(LINE).unwrap().first.id();
    for (text, error) in [
        (String::new(), ParseError::Empty),
        ("# only a comment".to_owned(), ParseError::Empty),
        ("password".to_owned(), malformed(1)),
        (format!("{LINE}\nskm2:00000000:AAAA"), malformed(2)),
        (LINE[..LINE.len() - 1].to_owned(), malformed(1)),
        (format!("{LINE}A"), malformed(1)),
        (format!("{LINE}="), malformed(1)),
        (mistyped, ParseError::WrongId { line: 1 }),
        (LINE.replace("b5ba", "B5BA"), ParseError::WrongId { line: 1 }),
        (format!("{LINE}\n{LINE}"), ParseError::Twice { line: 2, id }),
    ] {
        assert_eq!(Keyring::parse(&text).err(), Some(error), "{text}");
        assert!(!error.to_string().contains("AAE"), "{error}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let key = MasterKey::generate(&mut Entropy);
    let (line, id) = (key.to_line(), key.id());
    let secret = line.rsplit(':').next().unwrap();
    let keyring = Keyring::new(key);
    let sealed = keyring.seal(b"", b"plaintext", &mut Entropy);
    let printed = format!("{keyring:?} {sealed:?} {:?}", Pepper::generate(&mut Entropy));
    assert!(!printed.contains(secret) && !printed.contains("plaintext"));
    assert_eq!(printed, format!("[MasterKey({id}, …)] Sealed(54 bytes) Pepper(…)"));
}

#[test]
fn a_sealed_value_opens_only_whole_and_where_it_belongs() {
    let keyring = keyring();
    let sealed = keyring.seal(b"here", b"secret", &mut Entropy);
    assert_eq!(**keyring.open(b"here", &sealed).unwrap(), *b"secret");
    assert_eq!(keyring.open(b"there", &sealed).err(), Some(OpenError::Damaged));
    for bit in 0..sealed.as_bytes().len() * 8 {
        let mut bytes = sealed.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = keyring.open(b"here", &Sealed::from_bytes(bytes)).unwrap_err();
        match bit / 8 {
            0 => assert!(matches!(error, OpenError::UnknownAlgorithm(_))),
            1..5 => assert!(matches!(error, OpenError::UnknownKey(_))),
            _ => assert_eq!(error, OpenError::Damaged),
        }
    }
    for length in 0..sealed.as_bytes().len() {
        let cut = Sealed::from_bytes(sealed.as_bytes()[..length].to_vec());
        assert!(keyring.open(b"here", &cut).is_err(), "{length}");
    }
}

#[test]
fn the_key_id_in_the_header_is_authenticated() {
    // Two rings that know the same key under different ids would tell; here the header alone is exchanged.
    let (a, b) = (MasterKey::generate(&mut Entropy), MasterKey::generate(&mut Entropy));
    let ring = Keyring::parse(&format!("{}\n{}", *a.to_line(), *b.to_line())).unwrap();
    let sealed = ring.seal(b"x", b"secret", &mut Entropy);
    let mut bytes = sealed.as_bytes().to_vec();
    bytes[1..5].copy_from_slice(&b.id().0);
    assert_eq!(ring.open(b"x", &Sealed::from_bytes(bytes)).err(), Some(OpenError::Damaged));
}

#[test]
fn sealing_twice_gives_two_values() {
    let keyring = keyring();
    let once = keyring.seal(b"x", b"secret", &mut Entropy);
    assert_ne!(once, keyring.seal(b"x", b"secret", &mut Entropy));
}

#[test]
fn a_sealed_value_survives_serialisation() {
    let sealed = keyring().seal(b"x", b"secret", &mut Entropy);
    let bytes = postcard::to_stdvec(&sealed).unwrap();
    assert_eq!(bytes.len(), sealed.as_bytes().len() + 1);
    assert_eq!(postcard::from_bytes::<Sealed>(&bytes).unwrap(), sealed);
}

#[test]
fn associated_data_of_different_parts_differs() {
    let data = [
        associated_data("device", &[b"ab", b"c"]),
        associated_data("device", &[b"a", b"bc"]),
        associated_data("device", &[b"abc"]),
        associated_data("devic", &[b"eab", b"c"]),
    ];
    for (i, one) in data.iter().enumerate() {
        assert!(data[i + 1..].iter().all(|other| one != other));
    }
}

#[test]
fn the_pepper_is_hmac_sha_256_with_lengths() {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let pepper = Pepper::from_bytes(&[0x0b; 32]).unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&[0x0b; 32]).unwrap();
    mac.update(b"\0\0\0\0\0\0\0\x06domain\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0\0\x00");
    assert_eq!(pepper.mac("domain", &[b"a", b""]), <[u8; 32]>::from(mac.finalize().into_bytes()));
    assert_ne!(pepper.mac("domain", &[b"a"]), pepper.mac("domaina", &[]));
}

mod sources {
    use super::*;

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_credential_comes_before_the_file_and_the_file_before_the_environment() {
        let folder = TempDir::new().unwrap();
        let lines = [(); 3].map(|()| MasterKey::generate(&mut Entropy).to_line().to_string());
        let (credential, file) = (folder.path().join("sidekey-master-key"), folder.path().join("file"));
        write(&credential, &lines[0], 0o440);
        write(&file, &lines[1], 0o600);
        let mut sources = Sources {
            credentials_directory: Some(folder.path()),
            file: Some(&file),
            environment: Some(&lines[2]),
        };
        let found = |sources: &Sources<'_>| {
            let (keyring, origin) = sources.load().unwrap();
            (keyring.first.to_line().to_string(), origin)
        };
        assert_eq!(found(&sources), (lines[0].clone(), Origin::Credential(credential.clone())));
        fs::remove_file(&credential).unwrap();
        assert_eq!(found(&sources), (lines[1].clone(), Origin::File(file.clone())));
        sources.file = None;
        assert_eq!(found(&sources), (lines[2].clone(), Origin::Environment));
        sources.environment = None;
        let error = sources.load().unwrap_err();
        assert!(matches!(error, SourceError::Missing));
        assert!(error.to_string().contains("sidekey keys generate --out master.key"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_remedy() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("key");
        for mode in [0o640, 0o604, 0o620] {
            write(&file, LINE, mode);
            let error = Sources { file: Some(&file), ..Sources::default() }.load().unwrap_err();
            assert!(matches!(error, SourceError::Exposed { .. }));
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_named_file_must_exist_also_when_the_environment_has_a_key() {
        let missing = Path::new("/nonexistent/master.key");
        let sources = Sources { file: Some(missing), environment: Some(LINE), ..Sources::default() };
        assert!(matches!(sources.load(), Err(SourceError::Unusable { .. })));
    }

    #[test]
    fn a_new_key_file_is_private_readable_again_and_never_overwritten() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("master.key");
        let key = MasterKey::generate(&mut Entropy);
        write_new(&path, &key).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(write_new(&path, &key), Err(SourceError::Exists { .. })));
        let (keyring, created) = load_or_create(&path, &mut Entropy).unwrap();
        assert_eq!((keyring.first.id(), created), (key.id(), false));
        assert!(load_or_create(&folder.path().join("other.key"), &mut Entropy).unwrap().1);
    }

    use super::super::sources::{load_or_create, write_new};
}

mod unlocking {
    use super::*;

    fn store(folder: &TempDir) -> SledEngine {
        SledEngine::open(folder.path(), &Options { cache_bytes: 8 << 20, ..Options::new([1; 16]) }).unwrap()
    }

    #[tokio::test]
    async fn the_pepper_stays_the_same_also_when_the_master_key_rotates() {
        let folder = TempDir::new().unwrap();
        let store = store(&folder);
        let old = MasterKey::generate(&mut Entropy);
        let rotated = format!("{}\n{}", *MasterKey::generate(&mut Entropy).to_line(), *old.to_line());
        let made = unlock(&store, &Keyring::new(old), &mut Entropy).await.unwrap();
        let found = unlock(&store, &Keyring::parse(&rotated).unwrap(), &mut Entropy).await.unwrap();
        assert_eq!(made.as_bytes(), found.as_bytes());
    }

    #[tokio::test]
    async fn a_wrong_master_key_is_told_by_both_ids() {
        let folder = TempDir::new().unwrap();
        let store = store(&folder);
        let (right, wrong) = (keyring(), keyring());
        unlock(&store, &right, &mut Entropy).await.unwrap();
        let error = unlock(&store, &wrong, &mut Entropy).await.unwrap_err();
        let (needed, given) = (right.first.id(), format!("`{}`", wrong.first.id()));
        assert_eq!(error, UnlockError::WrongKey { needed, given });
    }

    #[tokio::test]
    async fn a_pepper_that_is_gone_or_foreign_is_never_replaced() {
        let folder = TempDir::new().unwrap();
        let store = store(&folder);
        let keyring = keyring();
        unlock(&store, &keyring, &mut Entropy).await.unwrap();
        let mut batch = Batch::new();
        let foreign = keyring.seal(&associated_data("pepper", &[&[2; 16]]), &[0; 32], &mut Entropy);
        batch.put(Key::meta("pepper"), foreign.as_bytes().to_vec());
        store.commit(batch).await.unwrap();
        let damaged = UnlockError::Damaged { record: "pepper" };
        assert_eq!(unlock(&store, &keyring, &mut Entropy).await.unwrap_err(), damaged);
        store.commit(Batch::new().delete(Key::meta("pepper")).clone()).await.unwrap();
        assert_eq!(unlock(&store, &keyring, &mut Entropy).await.unwrap_err(), damaged);
    }
}
