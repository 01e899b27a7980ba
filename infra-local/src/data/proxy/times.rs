//! How long answers took: a histogram that only grows, so that two looks at it tell what was between them.

/// Steps of the histogram; each is a quarter of a doubling, from a tenth of a millisecond to a minute and more.
const STEPS: usize = 80;

/// The first step, in seconds.
const SHORTEST: f64 = 1e-4;

/// Steps in a doubling.
const PER_DOUBLING: f64 = 4.0;

/// Response times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Times {
    counts: [u64; STEPS],
    seconds: f64,
}

impl Default for Times {
    fn default() -> Self {
        Self { counts: [0; STEPS], seconds: 0.0 }
    }
}

impl Times {
    /// Counts one answer.
    pub(crate) fn count(&mut self, seconds: f64) {
        let step = ((seconds / SHORTEST).max(1.0).log2() * PER_DOUBLING) as usize;
        self.counts[step.min(STEPS - 1)] += 1;
        self.seconds += seconds;
    }

    /// Times since an earlier look, in seconds, and how many answers took each. Steps are rounded, their sum is exact.
    pub(crate) fn since(&self, earlier: &Self) -> Vec<(f64, f64)> {
        let new = self.counts.iter().zip(&earlier.counts).enumerate();
        let steps: Vec<(f64, f64)> = new
            .filter(|(_, (now, before))| now > before)
            .map(|(step, (now, before))| {
                let middle = SHORTEST * ((step as f64 + 0.5) / PER_DOUBLING).exp2();
                (middle, (now - before) as f64)
            })
            .collect();
        let rounded: f64 = steps.iter().map(|(middle, count)| middle * count).sum();
        let correction = if rounded > 0.0 { (self.seconds - earlier.seconds) / rounded } else { 1.0 };
        steps.into_iter().map(|(middle, count)| (middle * correction, count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_of_two_looks_is_what_was_between() {
        let mut times = Times::default();
        times.count(0.010);
        let earlier = times;
        assert!(times.since(&earlier).is_empty());
        for _ in 0..3 {
            times.count(0.020);
        }
        times.count(2.0);
        let between = times.since(&earlier);
        assert_eq!(between.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [3.0, 1.0]);
        let sum: f64 = between.iter().map(|(seconds, count)| seconds * count).sum();
        assert!((sum - 2.06).abs() < 1e-9, "{sum}");
        assert!((between[0].0 - 0.02).abs() < 0.004, "{between:?}");
        times.count(1e9);
        times.count(0.0);
    }
}
