//! Subscriptions to changes of parts of the state.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::model::changes::Place;

/// Places in the state, and the subscribers to changes at or below them.
#[derive(Default)]
pub(super) struct Topics(Mutex<BTreeMap<Place, Vec<watch::Sender<u64>>>>);

impl Topics {
    /// Returns a receiver that is notified after changes at or below one of these places.
    pub(super) fn subscribe(&self, places: &[&[&str]]) -> watch::Receiver<u64> {
        let (sender, receiver) = watch::channel(0);
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for place in places {
            let place = place.iter().map(|name| (*name).to_owned()).collect();
            let waiting = topics.entry(place).or_default();
            waiting.retain(|other| !other.is_closed());
            waiting.push(sender.clone());
        }
        receiver
    }

    /// Notifies the subscribers to these places. A dropped receiver ends its subscription.
    pub(super) fn notify(&self, places: &[Place]) {
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for place in places {
            for length in 1..=place.len() {
                let Some(waiting) = topics.get_mut(&place[..length]) else { continue };
                waiting.retain(|sender| !sender.is_closed());
                waiting.iter().for_each(|sender| sender.send_modify(|revision| *revision += 1));
                if waiting.is_empty() {
                    topics.remove(&place[..length]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_subscribers_of_the_changed_place_are_notified() {
        let topics = Topics::default();
        let mut one = topics.subscribe(&[&["regions", "a", "instances", "i-1"], &["regions", "a", "lost_zones"]]);
        let mut all = topics.subscribe(&[&["regions"]]);
        let place = |path: &str| vec![path.split('/').map(str::to_owned).collect::<Place>()];
        let mut notified = |path: &str| {
            topics.notify(&place(path));
            [&mut one, &mut all].map(|receiver| {
                let changed = receiver.has_changed().is_ok_and(|changed| changed);
                receiver.mark_unchanged();
                changed
            })
        };
        assert_eq!(notified("regions/a/instances/i-1"), [true, true]);
        assert_eq!(notified("regions/a/instances/i-2"), [false, true]);
        assert_eq!(notified("regions/a/lost_zones"), [true, true]);
        assert_eq!(notified("port"), [false, false]);
        drop((one, all));
        topics.notify(&place("regions/a/instances/i-1"));
        assert_eq!(topics.0.lock().map(|topics| topics.len()).ok(), Some(1), "topics without waiters are removed");
    }
}
