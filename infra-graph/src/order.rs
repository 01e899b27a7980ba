//! The order of the boxes, and the edges that do not follow from others.

use super::drawing::{Arrow, Drawing, Edge, Node};
use std::collections::BTreeSet;

/// Number of boxes whose users are searched for at once, which limits the memory of the search.
const BLOCK: usize = 512;
const WORDS: usize = BLOCK / 64;

impl Drawing {
    /// Sets the edges from pairs of a used box and its user, and sorts the boxes.
    pub(crate) fn connect(&mut self, uses: &BTreeSet<(usize, usize)>) {
        self.sort(uses);
        self.reduce();
    }

    /// Sorts the boxes, so that each follows the boxes that it uses. An edge that closes a cycle leads up.
    pub(crate) fn sort(&mut self, uses: &BTreeSet<(usize, usize)>) {
        let count = self.boxes.len();
        let (mut waiting, mut users) = (vec![0; count], vec![Vec::new(); count]);
        for &(used, user) in uses {
            waiting[user] += 1;
            users[used].push(user);
        }
        let mut ready: BTreeSet<usize> = (0..count).filter(|&at| waiting[at] == 0).collect();
        let mut place = vec![usize::MAX; count];
        let mut unplaced = 0;
        for next in 0..count {
            let at = ready.pop_first().unwrap_or_else(|| {
                // All others are part of a cycle or use a box of it.
                unplaced += place[unplaced..].iter().take_while(|place| **place != usize::MAX).count();
                unplaced
            });
            place[at] = next;
            for &user in &users[at] {
                waiting[user] -= 1;
                if waiting[user] == 0 && place[user] == usize::MAX {
                    ready.insert(user);
                }
            }
        }
        let mut boxes: Vec<(usize, Node)> = place.iter().copied().zip(std::mem::take(&mut self.boxes)).collect();
        boxes.sort_by_key(|(place, _)| *place);
        self.boxes = boxes.into_iter().map(|(_, node)| node).collect();
        let edge = |&(used, user): &(usize, usize)| {
            let arrow = match (place[used] < place[user], uses.contains(&(user, used))) {
                (true, true) => Arrow::Both,
                (true, false) => Arrow::Down,
                (false, true) => return None,
                (false, false) => Arrow::Up,
            };
            let (one, other) = (place[used], place[user]);
            Some(Edge { upper: one.min(other), lower: one.max(other), arrow })
        };
        self.edges = uses.iter().filter_map(edge).collect();
        self.edges.sort_unstable();
    }

    /// Removes every edge down between two boxes that a longer path down connects as well.
    fn reduce(&mut self) {
        let count = self.boxes.len();
        let mut above: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (at, edge) in self.edges.iter().enumerate().filter(|(_, edge)| edge.arrow != Arrow::Up) {
            above[edge.lower].push(at);
        }
        let mut redundant = vec![false; self.edges.len()];
        for start in (0..count).step_by(BLOCK) {
            // Boxes of the block that are reachable from each box upwards.
            let mut reached = vec![[0_u64; WORDS]; count - start];
            for lower in start..count {
                let mut all = [0_u64; WORDS];
                // Later boxes first: only they can lead to earlier ones.
                for &at in above[lower].iter().rev().take_while(|&&at| self.edges[at].upper >= start) {
                    let Edge { upper, arrow, .. } = self.edges[at];
                    let place = upper - start;
                    if place < BLOCK {
                        let bit = 1 << (place % 64);
                        if all[place / 64] & bit != 0 {
                            redundant[at] = arrow == Arrow::Down;
                            continue;
                        }
                        all[place / 64] |= bit;
                    }
                    all.iter_mut().zip(&reached[place]).for_each(|(all, reached)| *all |= reached);
                }
                reached[lower - start] = all;
            }
        }
        let mut redundant = redundant.into_iter();
        self.edges.retain(|_| redundant.next() != Some(true));
    }
}
