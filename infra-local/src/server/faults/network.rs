//! Faults between two sides of the network. They need network namespaces.

use super::{Fault, FaultError, LONGEST_DELAY};
use crate::model::faults::{NetworkFault, NetworkSymptom};
use crate::runtime::network::NetworkHandle;
use crate::server::party;
use crate::state::Shared;

/// Injects a fault of any kind, and returns a description of its effect once packets are affected.
pub(crate) async fn inject(shared: &Shared, network: &NetworkHandle, fault: &Fault) -> Result<String, FaultError> {
    let (symptom, [one, other]) = match fault {
        Fault::Partition { between } => (NetworkSymptom::Partition, between),
        Fault::PacketLoss { between, percent } => match percent {
            1..=100 => (NetworkSymptom::PacketLoss(*percent), between),
            _ => return Err(FaultError::PacketPercent(*percent)),
        },
        Fault::NetworkLatency { between, milliseconds } => match u16::try_from(*milliseconds) {
            Ok(delay @ 1..=LONGEST_DELAY) => (NetworkSymptom::Latency(delay), between),
            _ => return Err(FaultError::PacketDelay(*milliseconds)),
        },
        fault => {
            let done = shared.inject(fault)?;
            if matches!(fault, Fault::Clear | Fault::End { .. })
                && let Err(error) = network.apply(shared).await
            {
                tracing::warn!(%error, "network faults are still in effect: another attempt follows");
            }
            return Ok(done);
        }
    };
    if let Some(reason) = shared.loopback_reason() {
        return Err(FaultError::NoNamespaces(reason.to_owned()));
    }
    for name in [one, other] {
        shared.open_region_of(name);
    }
    let (fault, replaced) = shared.write(|cloud| {
        let between = [party::side(cloud, one)?, party::side(cloud, other)?];
        if between[0].is(&between[1]) {
            return Err(FaultError::SameSide { one: one.clone(), other: other.clone() });
        }
        let fault = NetworkFault { number: cloud.faults.next_number(), symptom, between };
        let replaced = cloud.faults.add_to_network(fault.clone());
        Ok::<_, FaultError>((fault, replaced))
    })?;
    if let Err(source) = network.apply(shared).await {
        shared.write(|cloud| {
            cloud.faults.network.retain(|other| *other != fault);
            cloud.faults.network.extend(replaced);
            Ok::<_, FaultError>(())
        })?;
        return Err(FaultError::NotApplied(source));
    }
    Ok(fault.describe())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::runtime::network::{Loopback, Unconnected};
    use crate::testing::ControlPlane;

    fn between(one: &str, other: &str) -> [String; 2] {
        [one.to_owned(), other.to_owned()]
    }

    fn partition(one: &str, other: &str) -> Fault {
        Fault::Partition { between: between(one, other) }
    }

    /// A cloud with two instances called `app`, and their ids.
    fn cloud() -> (tempfile::TempDir, Shared, [String; 2]) {
        let mut plane = ControlPlane::new();
        let ids = plane.launch_two("app");
        let (directory, shared) = plane.shared();
        (directory, shared, ids)
    }

    // The fabric of the loopback interface accepts every network, so it stands for one that works.
    #[tokio::test]
    async fn a_fault_is_in_the_model_until_it_is_cleared() {
        let (_directory, shared, ids) = cloud();
        let network = NetworkHandle::new(Loopback);
        let done = inject(&shared, &network, &partition(&ids[0], "eu-west-3b")).await.unwrap();
        assert_eq!(done, format!("packets between {} and eu-west-3b are dropped", ids[0]));
        let loss = Fault::PacketLoss { between: between("internet", &ids[1]), percent: 30 };
        let done = inject(&shared, &network, &loss).await.unwrap();
        assert_eq!(done, format!("30% of the packets between internet and {} are dropped", ids[1]));
        let latency = Fault::NetworkLatency { between: between("us-east-1a", "us-east-1b"), milliseconds: 60_000 };
        let done = inject(&shared, &network, &latency).await.unwrap();
        assert_eq!(done, "packets between us-east-1a and us-east-1b are delayed by 60000 ms");
        assert_eq!(shared.read(|cloud| cloud.active_faults(None)).len(), 3);
        assert_eq!(network.current().network.faults.len(), 3);
        let active = shared.read(|cloud| cloud.active_faults(None));
        let end = active[1].end.clone().unwrap();
        assert_eq!(end, Fault::End { number: 2 });
        let done = inject(&shared, &network, &end).await.unwrap();
        assert_eq!(done, format!("the fault 2 ends: 30% of the packets between internet and {} are dropped", ids[1]));
        assert_eq!(network.current().network.faults.len(), 2);
        let again = inject(&shared, &network, &end).await.unwrap_err();
        assert!(again.to_string().starts_with("there is no active fault 2"), "{again}");
        inject(&shared, &network, &Fault::Clear).await.unwrap();
        assert!(network.current().network.faults.is_empty());
        assert!(shared.read(|cloud| cloud.active_faults(None)).is_empty());
    }

    #[tokio::test]
    async fn a_fault_that_cannot_be_applied_is_no_fault() {
        let (_directory, shared, ids) = cloud();
        let error = inject(&shared, &NetworkHandle::new(Unconnected), &partition(&ids[0], &ids[1])).await.unwrap_err();
        assert!(error.to_string().starts_with("the fault could not be applied to the network"), "{error}");
        assert!(shared.read(|cloud| cloud.faults.network.is_empty()));
    }

    #[tokio::test]
    async fn names_that_match_no_two_places_are_refused() {
        let (_directory, shared, ids) = cloud();
        let network = NetworkHandle::new(Loopback);
        let refused = async |fault: Fault| inject(&shared, &network, &fault).await.unwrap_err().to_string();
        let unknown = refused(partition(&ids[0], "database")).await;
        assert!(unknown.starts_with("nothing with a network interface and no zone is called `database`"), "{unknown}");
        let zone = refused(partition(&ids[0], "us-east-1z")).await;
        assert!(zone.starts_with("nothing with a network interface and no zone is called `us-east-1z`"), "{zone}");
        let ambiguous = refused(partition("app", "internet")).await;
        assert!(ambiguous.starts_with("`app` matches several network interfaces"), "{ambiguous}");
        for (one, other) in [("internet", "internet"), ("us-east-1a", "us-east-1a"), (&ids[0], &ids[0])] {
            let same = refused(partition(one, other)).await;
            assert_eq!(same, format!("`{one}` and `{other}` are the same: a fault is between two different sides"));
        }
        for percent in [0, 101] {
            let loss = Fault::PacketLoss { between: between(&ids[0], "internet"), percent };
            assert_eq!(
                refused(loss).await,
                format!("the percentage of packets is {percent}: it must be between 1 and 100")
            );
        }
        for milliseconds in [0, 60_001] {
            let latency = Fault::NetworkLatency { between: between(&ids[0], "internet"), milliseconds };
            let expected = format!("the delay of packets is {milliseconds} ms: it must be between 1 and 60000 ms");
            assert_eq!(refused(latency).await, expected);
        }
        assert!(shared.read(|cloud| cloud.faults.network.is_empty()));
    }

    #[tokio::test]
    async fn the_loopback_interface_has_no_network_faults() {
        let (_directory, shared, ids) = cloud();
        let network = NetworkHandle::new(Loopback);
        inject(&shared, &network, &partition(&ids[0], &ids[1])).await.unwrap();
        // The cloud was started again without namespaces.
        shared.set_loopback_reason("`nft` is missing".to_owned());
        let described = shared.read(|cloud| cloud.active_faults(shared.loopback_reason()));
        assert!(described[0].text.ends_with("are dropped (without effect: `nft` is missing)"), "{described:?}");
        let refused = inject(&shared, &network, &partition(&ids[0], "internet")).await.unwrap_err().to_string();
        assert_eq!(
            refused,
            "network faults need network namespaces, but `nft` is missing: stop the cloud, and start it with `stack local \
             start --network namespaces`"
        );
    }
}
