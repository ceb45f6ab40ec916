//! The HTTP server: the interface and the bundle of one run, for one user on one machine.
//!
//! Place in the flow: last. An address is an asset of the fixed list or a [`BundleFile`]; everything
//! else is 404, and no address is ever joined to a path ([`crate::assets`], [`crate::file`]). Made
//! files are kept in memory up to a limit; a request whose browser has gone is dropped before its turn.
//!
//! * Binds to 127.0.0.1 unless told otherwise; `Host` and `Origin` must name the server itself, so
//!   that no other site can read it through the browser (DNS rebinding).
//! * Content-Security-Policy allows nothing from anywhere else.

mod cache;
mod events;
mod guard;

use crate::assets::Assets;
use crate::file::FileKind;
use crate::network::{LONGEST_PHOTO_BYTES, LONGEST_QUESTION_BYTES, Wanted};
use crate::schema::{Annotation, WhatIfQuestion};
use crate::{BundleFile, BundleSource, SiteError};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cache::{Cache, Entry};
use events::{EVENTS, LISTENERS, events};
use guard::Guard;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// What the page may load and do: only what comes from the site itself. `index.html` says the same,
/// for hosts that send no such header.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'";

/// Where names of channels are sent to, one at a time.
const ANNOTATIONS: &str = "bundle/annotations.json";

/// Where photographs are sent to.
const PHOTO: &str = "bundle/photo";

/// Where changes of channels are asked about.
const WHAT_IF: &str = "bundle/whatif";

/// Longest request that names a channel.
const LONGEST_ANNOTATION_BYTES: usize = 8 << 10;

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Address to bind to.
    pub address: SocketAddr,
    /// Further host names the server goes by, for example behind a proxy.
    pub hosts: Vec<String>,
    /// The interface.
    pub assets: Assets,
    /// Files made at the same time.
    pub threads: usize,
}

/// A server that listens and waits to be run.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

struct Site {
    source: Arc<dyn BundleSource>,
    assets: Assets,
    guard: Guard,
    cache: Cache,
    turns: Arc<Semaphore>,
    listeners: Arc<Semaphore>,
}

impl Server {
    /// Binds to the address.
    ///
    /// # Errors
    /// It is in use or not allowed.
    pub async fn bind(
        source: Arc<dyn BundleSource>,
        options: ServeOptions,
    ) -> Result<Self, SiteError> {
        let failed = |source| SiteError::Listen {
            address: options.address.to_string(),
            source,
        };
        let listener = TcpListener::bind(options.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let site = Arc::new(Site {
            source,
            guard: Guard::new(address, options.hosts),
            assets: options.assets,
            cache: Cache::default(),
            turns: Arc::new(Semaphore::new(options.threads.max(1))),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
        });
        Ok(Self {
            listener,
            address,
            router: Router::new().fallback(respond).with_state(site),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is done.
    ///
    /// # Errors
    /// The system's, for the listener.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        axum::serve(self.listener, self.router)
            .with_graceful_shutdown(stop)
            .await
    }
}

async fn respond(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (request, body) = request.into_parts();
    let mut response = answer(&site, &request, body).await;
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
    response
}

async fn answer(site: &Arc<Site>, request: &Parts, body: Body) -> Response {
    if let Err(reason) = site.guard.check(&request.headers) {
        return refusal(StatusCode::FORBIDDEN, reason);
    }
    let path = request.uri.path().trim_start_matches('/');
    if request.method == Method::POST && path == ANNOTATIONS {
        return annotate(site, body).await;
    }
    if request.method == Method::POST && path == PHOTO {
        return look(site, body).await;
    }
    if request.method == Method::POST && path == WHAT_IF {
        return what_if(site, body).await;
    }
    let file = path.strip_prefix("bundle/").and_then(BundleFile::parse);
    if let (&Method::POST, Some(BundleFile::Feature(layer, channel))) = (&request.method, file) {
        return change(site, StatusCode::ACCEPTED, move |source| {
            source.draw(layer, channel)
        })
        .await;
    }
    if request.method != Method::GET && request.method != Method::HEAD {
        return refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET is understood");
    }
    if path == EVENTS {
        return events(site.source.live(), &site.listeners);
    }
    if let Some(asset) = Assets::find(path) {
        // An overriding folder may change between requests, so nothing of it is kept.
        return match site.assets.bytes(asset) {
            Ok(bytes) => {
                let entry = Entry::new(bytes.into_owned(), asset.content_type);
                hand_out(&entry, &request.headers)
            }
            Err(error) => refusal(StatusCode::NOT_FOUND, &error.to_string()),
        };
    }
    let Some(file) = file else {
        return refusal(StatusCode::NOT_FOUND, "there is no such file");
    };
    match made(site, file).await {
        Ok(entry) => hand_out(&entry, &request.headers),
        Err(error) if error.is_absent() => refusal(StatusCode::NOT_FOUND, &error.to_string()),
        // Not a failure: browsers ask for the run in order to learn that it is being made.
        Err(error @ SiteError::Unfinished) => refusal(StatusCode::ACCEPTED, &error.to_string()),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn made(site: &Arc<Site>, file: BundleFile) -> Result<Arc<Entry>, SiteError> {
    if let Some(entry) = site.cache.get(file) {
        return Ok(entry);
    }
    // A request that is given up while it waits here costs nothing more. The work keeps the turn, not
    // the request: what is given up later still runs to its end, and is still counted.
    let turn = Arc::clone(&site.turns).acquire_owned().await;
    if let Some(entry) = site.cache.get(file) {
        return Ok(entry);
    }
    let source = Arc::clone(&site.source);
    let content_type = match file.kind() {
        FileKind::Json => "application/json",
        FileKind::Jpeg => "image/jpeg",
    };
    let work = move || -> Result<Arc<Entry>, SiteError> {
        let _turn = turn;
        Ok(Arc::new(Entry::new(source.file(file)?, content_type)))
    };
    let entry = match tokio::task::spawn_blocking(work).await {
        Ok(result) => result?,
        Err(panic) => {
            return Err(SiteError::Picture {
                reason: format!("making {file} failed: {panic}"),
            });
        }
    };
    if file.is_fixed() {
        site.cache.put(file, &entry);
    }
    Ok(entry)
}

/// Takes one [`Annotation`].
async fn annotate(site: &Arc<Site>, body: Body) -> Response {
    let Ok(bytes) = axum::body::to_bytes(body, LONGEST_ANNOTATION_BYTES).await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "the name is too long");
    };
    let Ok(annotation) = serde_json::from_slice::<Annotation>(&bytes) else {
        return refusal(StatusCode::BAD_REQUEST, "the name is not understood");
    };
    change(site, StatusCode::NO_CONTENT, move |source| {
        source.annotate(annotation)
    })
    .await
}

/// Has the source changed, and answers with `done`.
async fn change(
    site: &Site,
    done: StatusCode,
    change: impl FnOnce(&dyn BundleSource) -> Result<(), SiteError> + Send + 'static,
) -> Response {
    let source = Arc::clone(&site.source);
    let Ok(outcome) = tokio::task::spawn_blocking(move || change(source.as_ref())).await else {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "it could not be kept");
    };
    let Err(error) = outcome else {
        return done.into_response();
    };
    let status = match error {
        SiteError::ReadOnly | SiteError::DrawsNothing => StatusCode::METHOD_NOT_ALLOWED,
        SiteError::Annotation { .. } => StatusCode::BAD_REQUEST,
        SiteError::Busy | SiteError::Unfinished => StatusCode::SERVICE_UNAVAILABLE,
        SiteError::Absent { .. } => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refusal(status, &error.to_string())
}

/// Has a question answered that needs the network; takes its turn like a file that is made, and is told when its
/// request is given up.
async fn ask<T: serde::Serialize>(
    site: &Site,
    answer: impl FnOnce(&dyn BundleSource, Wanted<'_>) -> Result<T, SiteError> + Send + 'static,
) -> Response {
    let turn = Arc::clone(&site.turns).acquire_owned().await;
    let source = Arc::clone(&site.source);
    // Goes with this future, which goes with the request.
    let asker = Arc::new(());
    let waiting = Arc::downgrade(&asker);
    let answered = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let wanted = || waiting.strong_count() > 0;
        Ok::<_, SiteError>(serde_json::to_vec(&answer(source.as_ref(), &wanted)?)?)
    });
    let answered = answered.await;
    drop(asker);
    match answered {
        Ok(Ok(json)) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (kind, json).into_response()
        }
        Ok(Err(error @ SiteError::NoNetwork)) => {
            refusal(StatusCode::METHOD_NOT_ALLOWED, &error.to_string())
        }
        Ok(Err(error)) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(_) => refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the network could not be run",
        ),
    }
}

/// Has one photograph looked at.
async fn look(site: &Site, body: Body) -> Response {
    let Ok(photo) = axum::body::to_bytes(body, LONGEST_PHOTO_BYTES).await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "the photograph is too large");
    };
    ask(site, move |source, _| source.look(&photo)).await
}

/// Has one channel changed.
async fn what_if(site: &Site, body: Body) -> Response {
    let Ok(bytes) = axum::body::to_bytes(body, LONGEST_QUESTION_BYTES).await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "the question is too long");
    };
    let Ok(question) = serde_json::from_slice::<WhatIfQuestion>(&bytes) else {
        return refusal(StatusCode::BAD_REQUEST, "the question is not understood");
    };
    ask(site, move |source, wanted| {
        source.what_if(&question, wanted)
    })
    .await
}

fn hand_out(entry: &Entry, request: &HeaderMap) -> Response {
    let accepts = |name: header::HeaderName, wanted: &str| {
        request
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| {
                value
                    .split(',')
                    .any(|part| part.trim().split(';').next() == Some(wanted))
            })
    };
    let mut response = if accepts(header::IF_NONE_MATCH, &entry.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let coding = entry
            .compressed
            .iter()
            .find(|(coding, _)| accepts(header::ACCEPT_ENCODING, coding));
        let (coding, bytes) = coding.map_or((None, &entry.bytes), |(coding, bytes)| {
            (Some(HeaderValue::from_static(coding)), bytes)
        });
        let mut response = Body::from(bytes.clone()).into_response();
        if let Some(coding) = coding {
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, coding);
        }
        response
    };
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(entry.content_type),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(etag) = HeaderValue::from_str(&entry.etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

fn refusal(status: StatusCode, reason: &str) -> Response {
    let mut response = (status, format!("{reason}\n")).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
