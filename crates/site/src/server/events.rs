//! `events`: how far a run that is being made is, as server-sent events.
//!
//! Every event is a whole [`crate::schema::LiveFile`]; the first comes at once, the last when the run is complete
//! or was stopped, and ends the answer. A browser that reads slowly gets the newest when it asks for more.

use super::refusal;
use crate::Live;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Address.
pub(super) const EVENTS: &str = "events";

/// Browsers that may listen at the same time.
pub(super) const LISTENERS: usize = 64;

pub(super) fn events(live: Option<&Live>, listeners: &Arc<Semaphore>) -> Response {
    let Some(live) = live else {
        return refusal(StatusCode::NOT_FOUND, "this run is finished");
    };
    let Ok(place) = Arc::clone(listeners).try_acquire_owned() else {
        let reason = "too many pages watch this run";
        return refusal(StatusCode::SERVICE_UNAVAILABLE, reason);
    };
    let mut changes = live.changes();
    changes.mark_changed();
    let start = Some((live.clone(), changes, place));
    let states = stream::unfold(start, |state| async {
        let (live, mut changes, place) = state?;
        changes.changed().await.ok()?;
        let (event, last) = match live.now() {
            Ok((text, last)) => (Ok(Event::default().data(text)), last),
            Err(error) => (Err(error), true),
        };
        Some((event, (!last).then_some((live, changes, place))))
    });
    Sse::new(states)
        .keep_alive(KeepAlive::default())
        .into_response()
}
