//! Paths below the cloud's directory that several modules use.

use std::path::{Path, PathBuf};

/// Returns the directory of the data of a database instance, a cluster without instances, or a snapshot, and of its
/// server's log.
pub(crate) fn database(cloud: &Path, resource_id: &str) -> PathBuf {
    cloud.join("databases").join(resource_id)
}

/// Returns the file with the certificate of the authority that signs the certificates of databases.
pub(crate) fn certificate_bundle(cloud: &Path) -> PathBuf {
    cloud.join("global-bundle.pem")
}

/// Returns the file with the events of a log stream.
pub(crate) fn log_stream(cloud: &Path, file: &str) -> PathBuf {
    cloud.join("logs").join(format!("{file}.jsonl"))
}

/// Directory of the logs of balancers.
pub(crate) const BALANCERS: &str = "balancers";

/// Returns the log of the requests to a balancer. Its name consists of the region and the last parts of the ARN, such as
/// `us-east-1.app.web.50dc6c495c0c9188`.
pub(crate) fn balancer_log(cloud: &Path, arn: &str) -> PathBuf {
    let mut parts = arn.splitn(6, ':').skip(3);
    let (region, name) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or(arn));
    let name = name.strip_prefix("loadbalancer/").unwrap_or(name).replace(['/', ':'], ".");
    cloud.join(BALANCERS).join(format!("{region}.{name}.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_of_balancers_have_names_of_their_own() {
        let arn = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/50dc6c495c0c9188";
        let expected = "/cloud/balancers/us-east-1.app.web.50dc6c495c0c9188.log";
        assert_eq!(balancer_log(Path::new("/cloud"), arn), Path::new(expected));
    }
}
