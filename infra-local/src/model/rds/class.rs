//! Classes of database instances: `db.t3.micro`.

/// A class.
pub(crate) struct DbClass {
    pub(crate) name: String,
    pub(crate) memory_bytes: u64,
    /// True when members of clusters may have the class.
    pub(crate) clustered: bool,
}

/// Families of classes with the memory of their `large`, in GiB; and whether they are burstable.
const FAMILIES: &[(&str, u64, bool)] = &[
    ("t3", 8, true),
    ("t4g", 8, true),
    ("m5", 8, false),
    ("m6g", 8, false),
    ("m6i", 8, false),
    ("m7g", 8, false),
    ("r5", 16, false),
    ("r6g", 16, false),
    ("r6i", 16, false),
    ("r7g", 16, false),
];

/// Sizes, with their share of a `large` in eighths.
const SMALL: &[(&str, u64)] = &[("micro", 1), ("small", 2), ("medium", 4)];
const LARGE: &[(&str, u64)] = &[("large", 8), ("xlarge", 16), ("2xlarge", 32)];
const HUGE: &[(&str, u64)] = &[("4xlarge", 64), ("8xlarge", 128), ("12xlarge", 192), ("16xlarge", 256)];

/// Returns all classes.
pub(crate) fn all() -> impl Iterator<Item = DbClass> {
    FAMILIES.iter().flat_map(|(family, large, burstable)| {
        let (first, last) = if *burstable { (SMALL, LARGE) } else { (LARGE, HUGE) };
        first.iter().chain(last).map(move |(size, eighths)| DbClass {
            name: format!("db.{family}.{size}"),
            memory_bytes: (large * eighths / 8) << 30,
            clustered: !["micro", "small"].contains(size) && !family.starts_with('m'),
        })
    })
}

/// Returns the memory of a class; that of the smallest class for an unknown name.
pub(crate) fn memory_bytes(name: &str) -> u64 {
    all().find(|class| class.name == name).map_or(1 << 30, |class| class.memory_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_the_memory_of_their_size() {
        let gib = |name| memory_bytes(name) >> 30;
        assert_eq!((gib("db.t3.micro"), gib("db.t4g.medium"), gib("db.r6g.2xlarge")), (1, 4, 64));
        assert!(all().any(|class| class.name == "db.r6g.16xlarge" && class.clustered));
    }
}
