//! The functions of core that a login or an enrolment waits for: `cargo bench -p sidekey-core`.

#![expect(clippy::unwrap_used, reason = "a measurement panics where something is wrong")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rand::{SeedableRng as _, rngs::StdRng};
use sidekey_core::account::Account;
use sidekey_core::code::Code;
use sidekey_core::device::{Answer, PendingDevice};
use sidekey_core::id::{AccountId, AppId, LoginId, UserId};
use sidekey_core::key_uri::KeyUri;
use sidekey_core::qr::{DEFAULT_SCALE, QrMatrix};
use sidekey_core::secret::Secret;
use sidekey_core::time::{Step, UnixTime};
use sidekey_core::totp::{TotpParams, code_at, matching_step};

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

fn secret() -> Secret {
    Secret::from_bytes(b"12345678901234567890".to_vec()).unwrap()
}

/// An account with one active device, and what its authenticator knows.
fn account() -> (Account, PendingDevice) {
    let mut rng = StdRng::seed_from_u64(9);
    let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
    let mut account = Account::new(id, NOW, &mut rng);
    let login = LoginId::generate(&mut rng);
    let device = account.start_setup(login, None, false, NOW, &mut rng, &mut Vec::new()).unwrap();
    let code = code_of(&device, NOW);
    account.confirm(device.id, &Answer::of(code), None, NOW, &mut Vec::new()).unwrap();
    (account, device)
}

fn code_of(device: &PendingDevice, at: UnixTime) -> Code {
    Code::parse(&code_at(&device.secret, device.params, Step::at(at, device.params.period))).unwrap()
}

fn verify(criterion: &mut Criterion) {
    let (secret, params) = (secret(), TotpParams::default());
    let step = Step::at(NOW, params.period);
    criterion.bench_function("code_at", |bencher| bencher.iter(|| code_at(&secret, params, black_box(step))));
    // The one of three that is tried last.
    let code = Code::parse(&code_at(&secret, params, step)).unwrap();
    let tried = [step.next().next(), step.next(), step];
    criterion.bench_function("matching_step, three steps", |bencher| {
        bencher.iter(|| matching_step(&secret, params, black_box(&code), tried).unwrap());
    });
    let (account, device) = account();
    let later = NOW.plus(60);
    let right = Answer::of(code_of(&device, later));
    let wrong = Answer::of(code_of(&device, NOW.plus(3_600)));
    for (name, answer, is_right) in
        [("verify, a right code", right, true), ("verify, a wrong code", wrong, false)]
    {
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || account.clone(),
                |account| assert_eq!(account.answer(&answer, later, &mut Vec::new()).is_ok(), is_right),
                BatchSize::SmallInput,
            );
        });
    }
}

fn enrolment(criterion: &mut Criterion) {
    let uri = || KeyUri::new(Some("Sidekey"), "ann@example.com", secret(), TotpParams::default()).unwrap();
    let text = uri().to_string();
    criterion.bench_function("key URI, written", |bencher| bencher.iter(|| uri().to_string()));
    criterion
        .bench_function("key URI, read", |bencher| bencher.iter(|| KeyUri::parse(black_box(&text)).unwrap()));
    criterion
        .bench_function("QR code", |bencher| bencher.iter(|| QrMatrix::encode(black_box(&text)).unwrap()));
    let qr = QrMatrix::encode(&text).unwrap();
    criterion.bench_function("QR code as PNG", |bencher| bencher.iter(|| qr.to_png(DEFAULT_SCALE)));
    criterion.bench_function("QR code as SVG", |bencher| bencher.iter(|| qr.to_svg(None)));
}

criterion_group!(core, verify, enrolment);
criterion_main!(core);
