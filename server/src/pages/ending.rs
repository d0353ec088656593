//! What is said where a session takes no answer: it has had its answer, it is over, or there is none.

use askama::Template;
use http::StatusCode;
use sidekey_core::session::{Closed, Purpose, Session};

use super::{
    Frame, Visit, hand_over,
    view::{self, Message, Shown},
};
use crate::{context::Context, http::Problem};

/// A session that was answered rightly.
#[derive(Template)]
#[template(path = "verified.html")]
pub(super) struct Verified {
    pub(super) frame: Frame,
    /// The heading.
    pub(super) title: String,
    /// What has been done.
    pub(super) lead: String,
    /// The application's address.
    pub(super) back: Option<String>,
    /// Whether this browser has signed in, and may go on with it.
    pub(super) is_here: bool,
}

/// The page of a session that was answered rightly.
pub(super) fn verified(page: &Verified) -> Shown {
    view::page(StatusCode::OK, page)
}

/// The page of a session whose action was approved: it is no login, and goes on in the application alone.
pub(super) fn approved(frame: Frame, session: &Session) -> Shown {
    let (title, lead) = (frame.t("challenge.approved"), frame.t("challenge.approved-lead"));
    let onward = hand_over::back(&frame, session);
    view::page(StatusCode::OK, &Message { title, lead, onward, other: None, frame })
}

/// The page of a session that is over without a right answer: the way back to the application, where one signs in again.
pub(super) fn over(frame: Frame, session: &Session, closed: Closed) -> Shown {
    let problem = Problem::from(closed);
    let lead = match (session.purpose, closed) {
        // The QR code that was shown counts no more, and an app may hold it.
        (Purpose::Enrollment, Closed::Expired) => frame.t("enroll.ended-lead"),
        _ => frame.t(&format!("error.{}", problem.code().name())),
    };
    let title = frame.t("challenge.ended");
    let onward = hand_over::back(&frame, session);
    let message = Message { title, lead, onward, other: None, frame };
    view::refusal(&problem, &message)
}

/// Nobody was sent here.
pub(super) fn no_session(context: &Context, visit: &Visit) -> Shown {
    let frame = Frame::plain(context, visit);
    let (title, lead) = (frame.t("challenge.no-session"), frame.t("challenge.no-session-lead"));
    view::page(StatusCode::OK, &Message { title, lead, onward: None, other: None, frame })
}
