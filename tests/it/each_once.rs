//! An interceptor of the SDK's clients that lets each distinct request fail once.

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef},
            dyn_dispatch_hint,
        },
        orchestrator::Metadata,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
};

/// The way in which a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request is not sent, so it certainly has no effect.
    Refused,
    /// The request is executed, and its response is lost.
    Lost,
}

/// Replaces ids and tokens in a text, because a repeated request has new ones.
fn without_ids(text: &str) -> String {
    const SHORTEST: usize = 16;
    let (mut out, mut run) = (String::new(), String::new());
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit() || ('a'..='f').contains(&c) || c == '-' {
            run.push(c);
            continue;
        }
        let is_id = run.len() >= SHORTEST && run.contains(|c: char| c.is_ascii_digit());
        out.push_str(if is_id { "*" } else { &run });
        out.push(c);
        run.clear();
    }
    out
}

/// An interceptor that lets each distinct request fail once: the same operation with the same parameters succeeds the
/// second time.
#[derive(Clone, Debug)]
pub(crate) struct EachOnce {
    failure: Failure,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    armed: bool,
    /// Operation names by request.
    failed: BTreeMap<String, String>,
}

/// Marks an attempt whose response will be dropped.
#[derive(Debug)]
struct Lose;

impl Storable for Lose {
    type Storer = StoreReplace<Self>;
}

impl EachOnce {
    pub(crate) fn new(failure: Failure) -> Self {
        Self { failure, seen: Arc::default() }
    }

    /// Enables the failures.
    pub(crate) fn arm(&self) {
        self.seen().armed = true;
    }

    /// Returns the operations of the requests that failed.
    pub(crate) fn failed(&self) -> Vec<String> {
        self.seen().failed.values().cloned().collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

#[dyn_dispatch_hint]
impl Intercept for EachOnce {
    fn name(&self) -> &'static str {
        "EachOnce"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let request = context.request();
        let body = request.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = bag.load::<Metadata>().map(|metadata| metadata.name().to_owned()).unwrap_or_default();
        let key = format!("{operation} {} {} {target} {body}", request.method(), request.uri());
        let key = without_ids(&key);
        let mut seen = self.seen();
        if !seen.armed || seen.failed.contains_key(&key) {
            return Ok(());
        }
        seen.failed.insert(key, operation);
        if self.failure == Failure::Refused {
            return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
        }
        bag.interceptor_state().store_put(Lose);
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        _: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        match bag.load::<Lose>() {
            Some(_) => Err("the response is lost on purpose".into()),
            None => Ok(()),
        }
    }
}
