//! The first page of the admin area.

use askama::Template;
use http::StatusCode;

use super::{Frame, Section};
use crate::caller::Operator;
use crate::context::Context;
use crate::http::Call;
use crate::pages::{Shown, page};

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct OverviewPage {
    frame: Frame,
}

/// The page.
pub(super) fn show(context: &Context, operator: &Operator, call: &Call) -> Shown {
    let frame = Frame::of(context, operator, call, Section::Overview);
    page(StatusCode::OK, &OverviewPage { frame })
}
