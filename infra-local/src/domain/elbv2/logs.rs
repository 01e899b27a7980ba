//! Logs of balancers in buckets: their place, and the names of their objects.
//!
//! Source: Application Load Balancers, "Access logs", "Connection logs"
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>,
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-connection-logs.html>).

use crate::model::elbv2::LoadBalancer;
use crate::model::elbv2::attributes::Attributed as _;
use crate::model::{Account, ArnScope};
use chrono::{DateTime, Utc};

/// Kind of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogKind {
    /// Requests.
    Access,
    /// Connections.
    Connection,
}

/// Place of a balancer's log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogPlace {
    pub(crate) kind: LogKind,
    pub(crate) region: String,
    pub(crate) account: Account,
    pub(crate) bucket: String,
    /// Empty for the root of the bucket.
    pub(crate) prefix: String,
    /// Resource id of the balancer: `app/web/50dc6c495c0c9188`.
    pub(crate) balancer: String,
    /// Address of the balancer's node.
    pub(crate) address: String,
}

impl LogKind {
    /// Returns the beginning of the attributes' names.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Access => "access_logs.s3",
            Self::Connection => "connection_logs.s3",
        }
    }

    fn test_file(self) -> &'static str {
        match self {
            Self::Access => "ELBAccessLogTestFile",
            Self::Connection => "ELBConnectionLogTestFile",
        }
    }
}

impl LogPlace {
    /// Returns the place of a balancer's log; `None` when the log is disabled.
    pub(crate) fn of(balancer: &LoadBalancer, scope: ArnScope<'_>, kind: LogKind) -> Option<Self> {
        let attribute = |name: &str| balancer.attribute(&format!("{}.{name}", kind.attribute()));
        (attribute("enabled") == "true").then(|| Self {
            kind,
            region: scope.region.to_owned(),
            account: scope.account,
            bucket: attribute("bucket"),
            prefix: attribute("prefix"),
            balancer: resource_id(&balancer.arn).to_owned(),
            address: balancer.address.to_string(),
        })
    }

    /// Returns the scope of the balancer's ARN.
    pub(crate) fn scope(&self) -> ArnScope<'_> {
        ArnScope { region: &self.region, account: self.account }
    }

    /// Returns the key of the object that shows at the activation that the bucket can be written.
    pub(crate) fn test_key(&self) -> String {
        let Self { account, .. } = self;
        format!("{}AWSLogs/{account}/{}", self.folder(), self.kind.test_file())
    }

    /// Returns the key of the object with the entries up to a moment.
    pub(crate) fn key(&self, end: DateTime<Utc>, random: &str) -> String {
        let Self { region, account, address, .. } = self;
        let kind = if self.kind == LogKind::Connection { "conn_log." } else { "" };
        let balancer = self.balancer.replace('/', ".");
        let (day, end) = (end.format("%Y/%m/%d"), end.format("%Y%m%dT%H%MZ"));
        format!(
            "{}AWSLogs/{account}/elasticloadbalancing/{region}/{day}/{kind}{account}_elasticloadbalancing_{region}_\
             {balancer}_{end}_{address}_{random}.log.gz",
            self.folder()
        )
    }

    fn folder(&self) -> String {
        if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix.trim_matches('/')) }
    }
}

/// Returns the resource id in the ARN of a balancer.
pub(crate) fn resource_id(arn: &str) -> &str {
    arn.split_once("loadbalancer/").map_or(arn, |(_, id)| id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn objects_have_the_names_of_aws() {
        let access = LogPlace {
            kind: LogKind::Access,
            region: "us-east-2".to_owned(),
            account: Account::default(),
            bucket: "logs".to_owned(),
            prefix: "prod".to_owned(),
            balancer: "app/web/50dc6c495c0c9188".to_owned(),
            address: "172.160.1.192".to_owned(),
        };
        let end = "2026-05-01T23:40:17Z".parse().unwrap();
        insta::assert_snapshot!(access.key(end, "20sg8hgm"), @"prod/AWSLogs/000000000000/elasticloadbalancing/us-east-2/2026/05/01/000000000000_elasticloadbalancing_us-east-2_app.web.50dc6c495c0c9188_20260501T2340Z_172.160.1.192_20sg8hgm.log.gz");
        insta::assert_snapshot!(access.test_key(), @"prod/AWSLogs/000000000000/ELBAccessLogTestFile");
        let connections = LogPlace { kind: LogKind::Connection, prefix: String::new(), ..access };
        insta::assert_snapshot!(connections.key(end, "20sg8hgm"), @"AWSLogs/000000000000/elasticloadbalancing/us-east-2/2026/05/01/conn_log.000000000000_elasticloadbalancing_us-east-2_app.web.50dc6c495c0c9188_20260501T2340Z_172.160.1.192_20sg8hgm.log.gz");
        insta::assert_snapshot!(connections.test_key(), @"AWSLogs/000000000000/ELBConnectionLogTestFile");
    }
}
