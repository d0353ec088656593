//! A refusal as a page of the admin area.

use askama::Template;

use super::Frame;
use crate::context::Context;
use crate::http::{Code, Problem};
use crate::pages::{Shown, refused_with};

#[derive(Template)]
#[template(path = "admin/refusal.html")]
struct RefusalPage {
    frame: Frame,
    title: &'static str,
    /// What is the matter, a sentence each.
    sentences: Vec<String>,
}

/// The page.
pub(super) fn page(context: &Context, problem: &Problem) -> Shown {
    let title = match problem.code() {
        Code::NotFound => "There is nothing here",
        Code::Forbidden => "This is not allowed",
        _ => "That did not work",
    };
    refused_with(
        problem,
        &RefusalPage { frame: Frame::plain(context), title, sentences: problem.sentences() },
    )
}
