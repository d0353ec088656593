//! The functions of the server that every login waits for: `cargo bench -p sidekey-server --features fuzzing --bench hot`.

#![expect(clippy::unwrap_used, reason = "a measurement panics where something is wrong")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rand::{SeedableRng as _, rngs::StdRng};
use sidekey_core::account::Account;
use sidekey_core::id::{AccountId, AppId, LoginId, UserId};
use sidekey_core::login::Grant;
use sidekey_core::refresh::Family;
use sidekey_core::time::UnixTime;
use sidekey_server::keyring::{Keyring, MasterKey, associated_data};
use sidekey_server::store::codec::{account_key, family_key};
use sidekey_server::store::{fuzzing, record};
use sidekey_server::token::{AccessClaims, Signer, SigningKey, Term};

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);
const ISSUER: &str = "https://login.example";

fn seals(criterion: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(9);
    let keyring = Keyring::new(MasterKey::generate(&mut rng));
    let place = associated_data("device secret", &[b"shop", b"42", &[7; 16]]);
    let secret = b"12345678901234567890";
    criterion.bench_function("seal a secret", |bencher| {
        bencher.iter(|| keyring.seal(black_box(&place), secret, &mut rng));
    });
    let sealed = keyring.seal(&place, secret, &mut rng);
    criterion.bench_function("open a secret", |bencher| {
        bencher.iter(|| keyring.open(&place, black_box(&sealed)).unwrap());
    });
}

fn records(criterion: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(9);
    let keyring = Keyring::new(MasterKey::generate(&mut rng));
    let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
    let login = LoginId::generate(&mut rng);
    let mut account = Account::new(id.clone(), NOW, &mut rng);
    account.start_setup(login, None, false, NOW, &mut rng, &mut Vec::new()).unwrap();
    let (key, version) = (account_key(&id), 7);
    criterion.bench_function("write an account", |bencher| {
        bencher.iter_batched(
            || account.clone(),
            |account| fuzzing::record(&key, version, &fuzzing::account_value(&keyring, account).unwrap()),
            BatchSize::SmallInput,
        );
    });
    let stored = fuzzing::record(&key, version, &fuzzing::account_value(&keyring, account.clone()).unwrap());
    criterion.bench_function("read an account", |bencher| {
        bencher.iter(|| {
            let (_, value) = record::check(&key, black_box(&stored)).unwrap();
            fuzzing::read_account(&keyring, &key, value).unwrap()
        });
    });
    let family = Family::start(&account, Grant { login, second_factor: None, remember_me: false }, NOW);
    let key = family_key("shop", login);
    criterion.bench_function("write a login", |bencher| {
        bencher.iter(|| fuzzing::record(&key, version, &fuzzing::value(black_box(&family)).unwrap()));
    });
    let stored = fuzzing::record(&key, version, &fuzzing::value(&family).unwrap());
    criterion.bench_function("read a login", |bencher| {
        bencher.iter(|| {
            fuzzing::read::<Family>(&key, record::check(&key, black_box(&stored)).unwrap().1).unwrap()
        });
    });
}

fn tokens(criterion: &mut Criterion) {
    let term = Term { created_at: NOW.as_secs(), retired_at: None };
    let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap(), term).unwrap();
    let signer = Signer::new(vec![key]);
    let claims = AccessClaims {
        iss: ISSUER.to_owned(),
        sub: "42".to_owned(),
        aud: "shop".to_owned(),
        iat: NOW.as_secs(),
        exp: NOW.as_secs() + 900,
        jti: "0123456789abcdef0123456789abcdef".to_owned(),
        sid: "0123456789abcdef0123456789abcdef".to_owned(),
        auth_time: Some(NOW.as_secs()),
        amr: vec!["otp".to_owned(), "mfa".to_owned()],
        acr: "urn:sidekey:2fa".to_owned(),
    };
    criterion.bench_function("sign an access token", |bencher| {
        bencher.iter(|| signer.sign(black_box(&claims)).unwrap());
    });
    let token = signer.sign(&claims).unwrap();
    criterion.bench_function("verify an access token", |bencher| {
        bencher.iter(|| signer.verify(black_box(&token), NOW.as_secs(), ISSUER).unwrap());
    });
}

criterion_group!(hot, seals, records, tokens);
criterion_main!(hot);
