use super::*;
use crate::login::Method;

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
fn rules_that_contradict_each_other_are_refused() {
    let clash = |first: Rule, second: Rule| Rules::new(vec![first, second]).is_err();
    assert!(clash(rule(None, "/a", &[], EVER), rule(None, "/a/", &[], HOUR)));
    assert!(clash(rule(None, "/a", &["GET", "PUT"], EVER), rule(None, "/a", &["PUT"], HOUR)));
    assert!(!clash(rule(None, "/a", &["GET"], EVER), rule(None, "/a", &["PUT"], HOUR)));
    assert!(!clash(rule(None, "/a", &["GET"], EVER), rule(None, "/a", &[], HOUR)));
    assert!(!clash(rule(Some("x"), "/a", &[], EVER), rule(None, "/a", &[], HOUR)));
}

#[test]
fn a_second_factor_is_fresh_to_the_second() {
    let at = UnixTime::from_secs(1_000_000);
    let factor = Some(SecondFactor { method: Method::Otp, at });
    assert!(HOUR.is_met(factor, at.plus(3_600)));
    assert!(!HOUR.is_met(factor, at.plus(3_601)));
    assert!(EVER.is_met(factor, at.plus(1_000_000)));
    assert!(!EVER.is_met(None, at));
    assert!(Demand::Nothing.is_met(None, at));
}
