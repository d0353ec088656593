use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    code::Code,
    device::Answer,
    id::{AccountId, LoginId, UserId},
    login::{Grant, Method},
    time::Step,
    totp::code_at,
};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_010);
const NOW_BY_CODE: Option<SecondFactor> = Some(SecondFactor { method: Method::Otp, at: NOW });

const HOUR: Demand = Demand::SecondFactor { max_age: Some(3_600) };
const EVER: Demand = Demand::SecondFactor { max_age: None };

fn rule(host: Option<&str>, path: &str, methods: &[&str], demand: Demand) -> Rule {
    Rule {
        app: AppId::parse("shop").unwrap(),
        host: host.map(str::to_owned),
        path: CanonicalPath::parse(path).unwrap(),
        methods: methods.iter().map(ToString::to_string).collect(),
        demand,
    }
}

fn asked(rules: &Rules, host: &str, method: &str, path: &str) -> Option<Demand> {
    let path = CanonicalPath::parse(path).unwrap();
    rules.find(Request { host, method, path: &path }).map(|rule| rule.demand)
}

#[test]
fn the_most_precise_rule_speaks() {
    let rules = Rules::new(vec![
        rule(None, "/", &[], EVER),
        rule(None, "/api/terminal/", &[], HOUR),
        rule(None, "/api/", &["GET", "HEAD"], Demand::Nothing),
        rule(Some("static.example"), "/", &[], Demand::Nothing),
    ])
    .unwrap();
    assert_eq!(asked(&rules, "app.example", "POST", "/api/terminal/7"), Some(HOUR));
    assert_eq!(asked(&rules, "app.example", "GET", "/api/terminal"), Some(HOUR));
    assert_eq!(asked(&rules, "app.example", "GET", "/api/list"), Some(Demand::Nothing));
    assert_eq!(asked(&rules, "app.example", "DELETE", "/api/list"), Some(EVER));
    assert_eq!(asked(&rules, "app.example", "GET", "/api/terminals"), Some(Demand::Nothing));
    assert_eq!(asked(&rules, "static.example", "GET", "/api/terminal/7"), Some(Demand::Nothing));
}

#[test]
fn what_no_rule_speaks_of_has_none() {
    let rules = Rules::new(vec![rule(Some("app.example"), "/admin/", &["GET"], EVER)]).unwrap();
    assert_eq!(asked(&rules, "app.example", "GET", "/"), None);
    assert_eq!(asked(&rules, "app.example", "POST", "/admin/"), None);
    assert_eq!(asked(&rules, "other.example", "GET", "/admin/"), None);
    assert_eq!(asked(&Rules::default(), "app.example", "GET", "/admin/"), None);
}

#[test]
fn a_rule_for_get_is_one_for_head_too() {
    let rules = vec![rule(None, "/", &[], EVER), rule(None, "/api/", &["GET"], HOUR)];
    let rules = Rules::new(rules).unwrap();
    assert_eq!(asked(&rules, "app.example", "HEAD", "/api/x"), Some(HOUR));
    assert_eq!(asked(&rules, "app.example", "POST", "/api/x"), Some(EVER));
    let twice = vec![rule(None, "/a", &["GET"], EVER), rule(None, "/a", &["HEAD"], HOUR)];
    assert!(Rules::new(twice).is_err());
}

#[test]
fn rules_that_contradict_each_other_are_refused() {
    let clash = |first: Rule, second: Rule| Rules::new(vec![first, second]).is_err();
    assert!(clash(rule(None, "/a", &[], EVER), rule(None, "/a/", &[], HOUR)));
    assert!(clash(rule(None, "/a", &["GET", "PUT"], EVER), rule(None, "/a", &["PUT"], HOUR)));
    assert!(!clash(rule(None, "/a", &["GET"], EVER), rule(None, "/a", &["PUT"], HOUR)));
    assert!(!clash(rule(None, "/a", &["GET"], EVER), rule(None, "/a", &[], HOUR)));
    assert!(!clash(rule(Some("x"), "/a", &[], EVER), rule(None, "/a", &[], HOUR)));
}

/// An account with a device, and a login whose second factor was given now.
fn login(rng: &mut StdRng) -> (Account, Family) {
    let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
    let mut account = Account::new(id, NOW, rng);
    let login = LoginId::generate(rng);
    let device = account.start_setup(login, None, false, NOW, rng, &mut Vec::new()).unwrap();
    let code = code_at(&device.secret, device.params, Step::at(NOW, device.params.period));
    let answer = Answer::of(Code::parse(&code).unwrap());
    account.confirm(device.id, &answer, None, NOW, &mut Vec::new()).unwrap();
    let second_factor = Some(SecondFactor { method: Method::Otp, at: NOW });
    let family = Family::start(&account, Grant { login, second_factor, remember_me: false }, NOW);
    (account, family)
}

#[test]
fn a_second_factor_is_fresh_to_the_second() {
    let (account, family) = login(&mut StdRng::seed_from_u64(7));
    let come = |second_factor| Some(Login { account: &account, family: &family, second_factor });
    let too_old = Err(Refusal::SecondFactorRequired { max_age: Some(3_600) });
    let (hour, ever) = (rule(None, "/", &[], HOUR), rule(None, "/", &[], EVER));
    assert_eq!(hour.admit(come(family.second_factor), NOW.plus(3_600)), Ok(()));
    assert_eq!(hour.admit(come(family.second_factor), NOW.plus(3_601)), too_old);
    assert_eq!(ever.admit(come(family.second_factor), NOW.plus(100_000)), Ok(()));
    assert_eq!(ever.admit(come(None), NOW), Err(Refusal::SecondFactorRequired { max_age: None }));
}

#[test]
fn only_a_living_login_of_the_rules_own_application_passes() {
    let (account, family) = login(&mut StdRng::seed_from_u64(7));
    let come = |account, family| Some(Login { account, family, second_factor: NOW_BY_CODE });
    let ever = rule(None, "/", &[], EVER);
    assert_eq!(ever.admit(come(&account, &family), NOW), Ok(()));
    assert_eq!(ever.admit(None::<Login<'_>>, NOW), Err(Refusal::NotSignedIn));
    let other = Rule { app: AppId::parse("bank").unwrap(), ..ever.clone() };
    assert_eq!(other.admit(come(&account, &family), NOW), Err(Refusal::NotSignedIn));
    let mut revoked = family.clone();
    revoked.revoke();
    assert_eq!(ever.admit(come(&account, &revoked), NOW), Err(Refusal::NotSignedIn));
    let mut everywhere = account.clone();
    everywhere.sign_out_everywhere(&mut Vec::new());
    assert_eq!(ever.admit(come(&everywhere, &family), NOW), Err(Refusal::NotSignedIn));
    let expired = family.expires_at;
    assert_eq!(ever.admit(come(&account, &family), expired), Err(Refusal::NotSignedIn));
    let public = rule(None, "/", &[], Demand::Nothing);
    assert_eq!(public.admit(None::<Login<'_>>, NOW), Ok(()));
}

#[test]
fn whoever_has_no_device_has_no_second_factor() {
    let mut rng = StdRng::seed_from_u64(7);
    let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
    let account = Account::new(id, NOW, &mut rng);
    let grant = Grant { login: LoginId::generate(&mut rng), second_factor: NOW_BY_CODE, remember_me: false };
    let family = Family::start(&account, grant, NOW);
    let come = Some(Login { account: &account, family: &family, second_factor: NOW_BY_CODE });
    let ever = rule(None, "/", &[], EVER);
    assert_eq!(ever.admit(come, NOW), Err(Refusal::SecondFactorRequired { max_age: None }));
}
