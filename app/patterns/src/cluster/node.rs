//! A node, and the measurement of its latency.
//!
//! A connection of its own sends a query to the node every 250 ms. The latency is a moving average, in which the last
//! measurement has the weight ½. A node that does not answer within 400 ms is away, until a later measurement succeeds. So
//! reads avoid a node after at most 650 ms, and those in progress on it are repeated elsewhere.
//!
//! On a busy machine, a node may be late once without being lost. So a statement that only this node can run is neither
//! refused nor interrupted because of a measurement, and the health check ignores short absences.

use std::{sync::Arc, time::Duration};

use actix_web::web::Bytes;
use kit::combine::Combiner;
use sea_orm::sqlx;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    database::{Database, Pool, Probe},
    error::QueryError,
};

/// Time between two measurements.
pub const INTERVAL: Duration = Duration::from_millis(250);
/// Latency from which a node is away.
pub const PATIENCE: Duration = Duration::from_millis(400);
/// Time limit of a new connection for measurements.
const CONNECT: Duration = Duration::from_secs(2);

/// Result of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The node was not measured yet.
    Unknown,
    /// The node has not answered since this time.
    Away(Instant),
    /// The node answers, with this average latency.
    Answers(Duration),
}

impl State {
    /// Returns the latency, or the longest duration for a node without one.
    pub fn latency(self) -> Duration {
        match self {
            Self::Answers(latency) => latency,
            Self::Unknown | Self::Away(_) => Duration::MAX,
        }
    }

    /// Returns whether the node does not answer.
    pub fn is_away(self) -> bool {
        matches!(self, Self::Away(_))
    }

    /// Returns the state after another measurement at a time, which is `None` if the node did not answer.
    fn after(self, measured: Option<Duration>, now: Instant) -> Self {
        match (self, measured) {
            (Self::Away(since), None) => Self::Away(since),
            (_, None) => Self::Away(now),
            (Self::Answers(average), Some(latency)) => Self::Answers((average + latency) / 2),
            (Self::Unknown | Self::Away(_), Some(latency)) => Self::Answers(latency),
        }
    }
}

/// A node of the cluster.
pub(super) struct Node {
    pub(super) name: String,
    database: Database,
    /// Connections for reads.
    reader: Pool,
    /// Queries in progress, which concurrent requests share.
    reads: Combiner<Arc<str>, Bytes, QueryError>,
    /// Connections for writes, to the manager.
    writer: Option<Pool>,
    state: watch::Sender<State>,
}

impl Node {
    pub(super) fn new(name: String, database: Database, reader: Pool, writer: Option<Pool>) -> Self {
        Self { name, database, reader, reads: Combiner::default(), writer, state: watch::Sender::new(State::Unknown) }
    }

    pub(super) fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Runs a query, and returns its rows as JSON. Concurrent requests with the same query share it.
    pub(super) async fn read(&self, sql: &Arc<str>) -> Result<Bytes, QueryError> {
        let (reader, query) = (self.reader.clone(), Arc::clone(sql));
        let read = move || {
            let (reader, query) = (reader.clone(), Arc::clone(&query));
            async move {
                let rows = reader.read(&query).await?;
                rows.json().map_err(|error| QueryError::Refused { reason: error.to_string() })
            }
        };
        self.reads.run(Arc::clone(sql), read).await
    }

    /// Runs a query, as long as the node answers the measurements.
    pub(super) async fn read_unless_away(&self, sql: &Arc<str>) -> Result<Bytes, QueryError> {
        let mut state = self.state.subscribe();
        tokio::select! {
            biased;
            result = self.read(sql) => result,
            _ = state.wait_for(|state| state.is_away()) => {
                Err(QueryError::Lost { cause: "the node was lost during the query".to_owned() })
            }
        }
    }

    /// Runs an insertion.
    pub(super) async fn write(&self, sql: &str) -> Result<(), QueryError> {
        match &self.writer {
            Some(writer) => writer.write(sql).await,
            None => Err(QueryError::Away { cause: "the node accepts no writes".to_owned() }),
        }
    }

    /// Measures the latency, for ever.
    pub(super) async fn measure(self: Arc<Self>) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut probe = None;
        loop {
            ticks.tick().await;
            let measured = self.ask(&mut probe).await;
            if self.record(measured) {
                // The connections belong to the runtime of this task, which outlasts the threads of the server.
                let pools = [Some(self.reader.clone()), self.writer.clone()];
                tokio::spawn(async move {
                    for pool in pools.into_iter().flatten() {
                        pool.warm().await;
                    }
                });
            }
        }
    }

    /// Measures once. Keeps the connection if the node answers.
    async fn ask(&self, probe: &mut Option<Probe>) -> Result<Duration, String> {
        let late = |_| "no response in time".to_owned();
        let failed = |error: sqlx::Error| error.to_string();
        let mut connection = match probe.take() {
            Some(connection) => connection,
            None => timeout(CONNECT, self.database.probe()).await.map_err(late)?.map_err(failed)?,
        };
        let start = Instant::now();
        timeout(PATIENCE, connection.ask()).await.map_err(late)?.map_err(failed)?;
        *probe = Some(connection);
        Ok(start.elapsed())
    }

    /// Records a measurement. Returns whether the node answers for the first time, or again.
    fn record(&self, measured: Result<Duration, String>) -> bool {
        let before = self.state();
        let after = before.after(measured.as_ref().ok().copied(), Instant::now());
        self.state.send_replace(after);
        let (node, database) = (&self.name, &self.database);
        match measured {
            Ok(latency) if !matches!(before, State::Answers(_)) => {
                tracing::info!(node, %database, ?latency, "the node answers");
                return true;
            }
            Err(cause) if !before.is_away() => tracing::warn!(node, %database, cause, "the node is away"),
            _ => (),
        }
        false
    }

    pub(super) async fn close(&self) {
        self.reader.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_measurement_has_the_weight_of_a_half() {
        let millis = Duration::from_millis;
        let first = Instant::now();
        let later = first + millis(250);
        let mut state = State::Unknown;
        for (measured, now, expected) in [
            (Some(millis(8)), first, State::Answers(millis(8))),
            (Some(millis(2)), first, State::Answers(millis(5))),
            (Some(millis(205)), first, State::Answers(millis(105))),
            (None, first, State::Away(first)),
            (None, later, State::Away(first)),
            (Some(millis(3)), later, State::Answers(millis(3))),
            (None, later, State::Away(later)),
        ] {
            state = state.after(measured, now);
            assert_eq!(state, expected);
        }
        assert!(State::Away(first).latency() > State::Answers(PATIENCE).latency());
    }
}
