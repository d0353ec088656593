//! Heads: their layout, their seal, and what they notice.

use super::*;

const STORE: StoreId = [7; 16];

fn head() -> Head {
    let mut head = Head { version: 3, latest: UnixTime::from_secs(1_790_000_000), ..Head::default() };
    head.append(b"entry");
    head.base = head.end();
    head.append(b"another");
    head.replace(b"key", None, Some(&[1; 17]));
    head
}

#[test]
fn a_head_comes_back_as_it_was_written() {
    let key = HeadKey::new([9; 32]);
    let mut sealed = head();
    sealed.seal(&STORE, &key);
    let read = Head::decode(&sealed.encode()).unwrap();
    assert_eq!(read, sealed);
    assert!(read.agrees_with(&head()));
    assert!(read.is_sealed_by(&STORE, &key));
    let unsealed = Head::decode(&head().encode()).unwrap();
    assert_eq!(unsealed, head());
    assert!(!unsealed.is_sealed_by(&STORE, &key));
}

#[test]
fn the_layout_is_the_documented_one() {
    let bytes = head().encode();
    let first = chain(&[0; 32], 1, b"entry");
    assert_eq!(bytes[0], 2);
    assert_eq!(bytes[1..9], 3_u64.to_be_bytes());
    assert_eq!(bytes[9..17], 2_u64.to_be_bytes());
    assert_eq!(bytes[17..49], chain(&first, 2, b"another"));
    assert_eq!(bytes[49..57], 1_790_000_000_u64.to_be_bytes());
    assert_eq!(bytes[57..65], 1_u64.to_be_bytes());
    assert_eq!(bytes[81..89], 1_u64.to_be_bytes());
    assert_eq!(bytes[89..121], first);
    assert_eq!(bytes[121..], [0; 32]);
}

#[test]
fn a_head_of_format_1_is_read_with_its_seal() {
    let key = HeadKey::new([9; 32]);
    let bytes = testing::in_format_1(&head(), &STORE, &key);
    assert_eq!(bytes.len(), BYTES_OF_FORMAT_1);
    let read = Head::decode(&bytes).unwrap();
    assert_eq!(read, Head { base: Base::default(), seal: read.seal, of_format_1: true, ..head() });
    assert!(read.is_sealed_by(&STORE, &key) && !read.is_sealed_by(&STORE, &HeadKey::new([8; 32])));
    let mut sealed = read;
    sealed.seal(&STORE, &key);
    assert!(Head::decode(&sealed.encode()).unwrap().is_sealed_by(&STORE, &key), "of this format now");
}

#[test]
fn any_changed_bit_breaks_the_seal_and_so_do_another_store_and_key() {
    let key = HeadKey::new([9; 32]);
    let mut sealed = head();
    sealed.seal(&STORE, &key);
    let bytes = sealed.encode();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!Head::decode(&flipped).is_some_and(|head| head.is_sealed_by(&STORE, &key)), "{bit}");
    }
    let read = Head::decode(&bytes).unwrap();
    assert!(!read.is_sealed_by(&[8; 16], &key) && !read.is_sealed_by(&STORE, &HeadKey::new([8; 32])));
    assert!(Head::decode(&bytes[1..]).is_none());
}

#[test]
fn the_digest_knows_the_set_and_not_the_order() {
    let (one, two) = ([1; 17], [2; 17]);
    let mut head = Head::default();
    head.replace(b"a", None, Some(&one));
    head.replace(b"b", None, Some(&one));
    head.replace(b"a", Some(&one), Some(&two));
    head.replace(b"b", Some(&one), None);
    let mut other = Head::default();
    other.replace(b"a", None, Some(&two));
    assert_eq!((head.records, head.digest), (1, other.digest));
    other.replace(b"a", Some(&two), Some(&one));
    assert_ne!(head.digest, other.digest, "an older state of the same record");
}

#[test]
fn the_chain_depends_on_every_entry_and_its_place() {
    let of = |entries: &[&[u8]]| {
        let mut head = Head::default();
        for entry in entries {
            head.append(entry);
        }
        head.chain
    };
    assert_ne!(of(&[b"a", b"b"]), of(&[b"b", b"a"]));
    assert_ne!(of(&[b"a", b"b"]), of(&[b"ab"]));
    assert_ne!(of(&[b"a"]), of(&[b"a", b""]));
}

#[test]
fn what_is_counted() {
    assert!(counts(Key::meta("pepper").as_bytes()) && counts(Key::account("shop", "42").as_bytes()));
    assert!(!counts(Head::key().as_bytes()) && !counts(Key::meta("store").as_bytes()));
    assert!(!counts(Key::audit(7).as_bytes()) && !counts(Key::of(Kind::Activity).as_bytes()));
}
