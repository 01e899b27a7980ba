//! Storage of instances: types, sizes and provisioned performance.
//!
//! The limits are those of PostgreSQL:
//! <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html>.

use super::DbInstance;
use crate::prelude::*;
use aws_sdk_rds::types;
use std::ops::RangeInclusive;

/// Smallest `gp3` volume with provisioned performance, in GiB. RDS stripes it over several volumes.
const STRIPED: u32 = 400;

/// Performance of a striped `gp3` volume without a declared one.
const BASELINE: Performance = Performance { iops: Some(12_000), throughput: Some(500) };

/// Storage of PostgreSQL, in GiB.
const SIZES: RangeInclusive<u32> = 20..=65_536;
const MAGNETIC_SIZES: RangeInclusive<u32> = 5..=3072;
const PROVISIONED_SIZES: RangeInclusive<u32> = 100..=65_536;

const PROVISIONED_IOPS: RangeInclusive<u32> = 1000..=256_000;
const STRIPED_IOPS: RangeInclusive<u32> = 12_000..=64_000;
const STRIPED_THROUGHPUT: RangeInclusive<u32> = 500..=4000;

/// Performance in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Performance {
    pub(super) iops: Option<i32>,
    pub(super) throughput: Option<i32>,
}

/// Returns the performance of a request. A striped volume without a declared one gets the baseline, so that a removed input
/// has an effect.
pub(super) fn performance(inputs: &DbInstance) -> Performance {
    let baseline = if is_striped(inputs.storage_type.as_deref(), inputs.allocated_storage) {
        BASELINE
    } else {
        Performance { iops: None, throughput: None }
    };
    Performance {
        iops: inputs.iops.map(u32::cast_signed).or(baseline.iops),
        throughput: inputs.storage_throughput.map(u32::cast_signed).or(baseline.throughput),
    }
}

/// Returns the storage type, the IOPS and the throughput that declare an existing instance. An import contains those that
/// RDS does not choose by itself.
pub(super) fn declared(
    instance: &types::DbInstance,
    recorded: Option<&DbInstance>,
) -> (Option<String>, Option<u32>, Option<u32>) {
    let kind = instance.storage_type();
    let size = instance.allocated_storage().unwrap_or_default().cast_unsigned();
    let is_provisioned = matches!(kind, Some("io1" | "io2")) || is_striped(kind, size);
    let has = |is_declared: fn(&DbInstance) -> bool| recorded.map_or(is_provisioned, is_declared);
    let number = |number: Option<i32>| number.filter(|number| *number > 0).map(i32::cast_unsigned);
    (
        kind.filter(|_| has(|recorded| recorded.storage_type.is_some())).map(str::to_owned),
        number(instance.iops()).filter(|_| has(|recorded| recorded.iops.is_some())),
        number(instance.storage_throughput()).filter(|_| has(|recorded| recorded.storage_throughput.is_some())),
    )
}

/// Returns the problems of the declared storage.
pub(super) fn problems(inputs: &DbInstance) -> Vec<Problem> {
    let DbInstance { allocated_storage: size, iops, storage_throughput: throughput, .. } = inputs;
    let (size, kind) = (*size, inputs.storage_type.as_deref());
    let mut problems = Vec::new();
    let sizes = match kind {
        // The source determines the type.
        None if inputs.snapshot.is_some() || inputs.replicate_from.is_some() => *MAGNETIC_SIZES.start()..=*SIZES.end(),
        None | Some("gp2" | "gp3") => SIZES,
        Some("standard") => MAGNETIC_SIZES,
        Some("io1" | "io2") => PROVISIONED_SIZES,
        Some(other) => {
            let problem = Problem::new("storage_type", format!("RDS has no storage type `{other}`"));
            problems.push(problem.hint("write `gp3`, `gp2`, `io2`, `io1` or `standard`"));
            SIZES
        }
    };
    if !sizes.contains(&size) {
        let of = kind.map(|kind| format!(" of the type {kind}")).unwrap_or_default();
        let text = format!("storage{of} has {} to {} GiB, not {size}", sizes.start(), sizes.end());
        problems.push(Problem::new("allocated_storage", text));
    }
    match kind {
        Some(kind @ ("io1" | "io2")) => {
            problems.extend(provisioned_problem(kind, size, *iops));
            if throughput.is_some() {
                problems.push(throughput_refused(&format!("the type {kind}")));
            }
        }
        Some("gp3") if size >= STRIPED => {
            problems.extend(outside("iops", *iops, &STRIPED_IOPS, "IOPS"));
            problems.extend(outside("storage_throughput", *throughput, &STRIPED_THROUGHPUT, "MiB/s"));
        }
        Some("gp3") => {
            let text = format!("RDS accepts no performance for `gp3` storage of less than {STRIPED} GiB");
            for (property, number) in [("iops", iops), ("storage_throughput", throughput)] {
                if number.is_some() {
                    let hint = format!("remove `{property}`, or allocate at least {STRIPED} GiB");
                    problems.push(Problem::new(property, text.clone()).hint(hint));
                }
            }
        }
        _ => {
            let kind = kind.map_or_else(|| "the default type".to_owned(), |kind| format!("the type {kind}"));
            if iops.is_some() {
                let text = format!("storage of {kind} has no provisioned IOPS");
                problems.push(Problem::new("iops", text).hint("set `storage_type` to `io1`, `io2` or `gp3`"));
            }
            if throughput.is_some() {
                problems.push(throughput_refused(&kind));
            }
        }
    }
    problems
}

/// Returns the problem of an update that reduces the storage, which RDS cannot do.
pub(super) fn reduction(prior: &DbInstance, next: &DbInstance) -> Option<Problem> {
    let (from, to) = (prior.allocated_storage, next.allocated_storage);
    (to < from).then(|| {
        Problem::new("allocated_storage", format!("RDS cannot reduce the storage from {from} GiB to {to} GiB"))
            .hint(format!("write {from}, or move the data to a new, smaller instance, for example with `pg_dump`"))
    })
}

fn is_striped(kind: Option<&str>, size: u32) -> bool {
    kind == Some("gp3") && size >= STRIPED
}

fn provisioned_problem(kind: &str, size: u32, iops: Option<u32>) -> Option<Problem> {
    let most_per_gib = if kind == "io1" { 50 } else { 1000 };
    // The ratio of IOPS to GiB is at least 0.5.
    let fewest = (*PROVISIONED_IOPS.start()).max(size.div_ceil(2));
    let most = (*PROVISIONED_IOPS.end()).min(size.saturating_mul(most_per_gib));
    let Some(iops) = iops else {
        let problem = Problem::new("iops", format!("storage of the type {kind} needs provisioned IOPS"));
        return Some(problem.hint(format!("set `iops` to {fewest} to {most}, or use the type `gp3`")));
    };
    outside("iops", Some(iops), &(fewest..=most), &format!("IOPS with {size} GiB of {kind} storage"))
}

fn outside(property: &str, number: Option<u32>, range: &RangeInclusive<u32>, unit: &str) -> Option<Problem> {
    let number = number.filter(|number| !range.contains(number))?;
    Some(Problem::new(property, format!("RDS accepts {} to {} {unit}, not {number}", range.start(), range.end())))
}

fn throughput_refused(kind: &str) -> Problem {
    Problem::new("storage_throughput", format!("storage of {kind} has no provisioned throughput"))
        .hint("set `storage_type` to `gp3`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(kind: Option<&str>, allocated_storage: u32, iops: Option<u32>) -> DbInstance {
        DbInstance {
            storage_type: kind.map(str::to_owned),
            allocated_storage,
            iops,
            ..DbInstance::postgres("db.t4g.micro", "tasks", "cloud", "long-enough")
        }
    }

    #[test]
    fn storage_within_the_limits_is_accepted() {
        for (kind, size, iops) in [
            (None, 20, None),
            (Some("gp2"), 20, None),
            (Some("standard"), 5, None),
            (Some("gp3"), 20, None),
            (Some("gp3"), 400, None),
            (Some("gp3"), 400, Some(12_000)),
            (Some("io1"), 100, Some(1000)),
            (Some("io1"), 100, Some(5000)),
            (Some("io2"), 100, Some(100_000)),
            (Some("io2"), 65_536, Some(32_768)),
        ] {
            assert_eq!(problems(&instance(kind, size, iops)), [], "{kind:?} {size} {iops:?}");
        }
    }

    #[test]
    fn storage_outside_the_limits_is_refused() {
        for (kind, size, iops, expected) in [
            (None, 19, None, "storage has 20 to 65536 GiB, not 19"),
            (None, 100, Some(1000), "storage of the default type has no provisioned IOPS"),
            (Some("gp2"), 100, Some(1000), "storage of the type gp2 has no provisioned IOPS"),
            (Some("gp4"), 100, None, "RDS has no storage type `gp4`"),
            (Some("gp3"), 399, Some(3000), "RDS accepts no performance for `gp3` storage of less than 400 GiB"),
            (Some("gp3"), 400, Some(3000), "RDS accepts 12000 to 64000 IOPS, not 3000"),
            (Some("io1"), 100, None, "storage of the type io1 needs provisioned IOPS"),
            (Some("io1"), 99, Some(1000), "storage of the type io1 has 100 to 65536 GiB, not 99"),
            (Some("io1"), 100, Some(5001), "RDS accepts 1000 to 5000 IOPS with 100 GiB of io1 storage, not 5001"),
            (Some("io2"), 4000, Some(1999), "RDS accepts 2000 to 256000 IOPS with 4000 GiB of io2 storage, not 1999"),
        ] {
            let messages: Vec<_> =
                problems(&instance(kind, size, iops)).into_iter().map(|problem| problem.message).collect();
            assert_eq!(messages, [expected], "{kind:?} {size} {iops:?}");
        }
        let throughput = |kind, size| DbInstance { storage_throughput: Some(500), ..instance(kind, size, None) };
        assert_eq!(problems(&throughput(Some("gp3"), 400)), []);
        for (kind, size) in [(Some("gp3"), 399), (Some("gp2"), 400), (None, 400)] {
            let properties: Vec<_> =
                problems(&throughput(kind, size)).into_iter().map(|problem| problem.property).collect();
            assert_eq!(properties, ["storage_throughput"], "{kind:?}");
        }
    }

    #[test]
    fn reduced_storage_is_refused() {
        assert_eq!(reduction(&instance(None, 20, None), &instance(None, 20, None)), None);
        assert_eq!(reduction(&instance(None, 20, None), &instance(None, 30, None)), None);
        let problem = reduction(&instance(None, 30, None), &instance(None, 20, None));
        assert_eq!(problem.map(|problem| problem.property).as_deref(), Some("allocated_storage"));
    }

    #[test]
    fn performance_without_a_declaration_is_the_baseline_of_a_striped_volume() {
        assert_eq!(performance(&instance(Some("gp3"), 400, None)), BASELINE);
        assert_eq!(performance(&instance(Some("gp3"), 400, Some(20_000))).iops, Some(20_000));
        let none = Performance { iops: None, throughput: None };
        assert_eq!(performance(&instance(Some("gp3"), 399, None)), none);
        assert_eq!(performance(&instance(None, 400, None)), none);
    }

    #[test]
    fn import_contains_the_performance_that_a_declaration_needs() {
        let existing = |kind: &str, size: i32| {
            let existing = types::DbInstance::builder().storage_type(kind).allocated_storage(size);
            existing.iops(12_000).storage_throughput(500).build()
        };
        assert_eq!(declared(&existing("gp3", 20), None), (None, None, None));
        let striped = (Some("gp3".to_owned()), Some(12_000), Some(500));
        assert_eq!(declared(&existing("gp3", 400), None), striped);
        // The baseline, which RDS reports, is no drift.
        let recorded = instance(Some("gp3"), 400, None);
        assert_eq!(declared(&existing("gp3", 400), Some(&recorded)), (Some("gp3".to_owned()), None, None));
    }
}
