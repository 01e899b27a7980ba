//! Permission of Elastic Load Balancing to write logs into a bucket.
//!
//! Source: Application Load Balancers, "Enable access logs", step 2
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html>).

use super::Context;
use super::policy::{AccessRequest, Document, Principal, Verdict};
use crate::model::ArnScope;

/// The service that delivers logs.
const SERVICE: &str = "logdelivery.elasticloadbalancing.amazonaws.com";

/// Accounts of Elastic Load Balancing by region, which bucket policies of the earlier form name.
const ACCOUNTS: &[(&str, &str)] = &[
    ("us-east-1", "127311923021"),
    ("us-east-2", "033677994240"),
    ("us-west-1", "027434742980"),
    ("us-west-2", "797873946194"),
    ("af-south-1", "098369216593"),
    ("ap-east-1", "754344448648"),
    ("ap-southeast-3", "589379963580"),
    ("ap-south-1", "718504428378"),
    ("ap-northeast-3", "383597477331"),
    ("ap-northeast-2", "600734575887"),
    ("ap-southeast-1", "114774131450"),
    ("ap-southeast-2", "783225319266"),
    ("ap-northeast-1", "582318560864"),
    ("ca-central-1", "985666609251"),
    ("eu-central-1", "054676820928"),
    ("eu-west-1", "156460612806"),
    ("eu-west-2", "652711504416"),
    ("eu-south-1", "635631232127"),
    ("eu-west-3", "009996457667"),
    ("eu-north-1", "897822967062"),
    ("me-south-1", "076674570225"),
    ("sa-east-1", "507241528517"),
];

/// Returns whether a bucket policy lets Elastic Load Balancing write an object with the logs of a region's balancers.
pub(crate) fn admits_log_delivery(policy: Option<&str>, scope: ArnScope<'_>, object: &str) -> bool {
    let Some(document) = policy.and_then(|text| Document::parse(text).ok()) else { return false };
    let context = Context::default()
        .with("aws:PrincipalIsAWSService", "true")
        .with("aws:SecureTransport", "true")
        .with("aws:SourceAccount", scope.account.as_str())
        .with("aws:SourceArn", scope.arn("elasticloadbalancing", "loadbalancer/*"))
        .with("s3:x-amz-acl", "bucket-owner-full-control");
    let request = AccessRequest { action: "s3:PutObject", resource: object, context: &context };
    let verdict = |principal: &Principal, account: &str| document.evaluate_for(principal, &request, account).0.verdict;
    let earlier = ACCOUNTS.iter().find(|(name, _)| *name == scope.region).map(|(_, account)| *account);
    verdict(&Principal::Service(SERVICE.to_owned()), scope.account.as_str()) == Verdict::Allows
        || earlier.is_some_and(|account| verdict(&Principal::Root, account) == Verdict::Allows)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::Account;

    fn scope() -> ArnScope<'static> {
        ArnScope { region: "us-east-1", account: Account::default() }
    }

    #[test]
    fn bucket_policies_name_the_service_or_its_account() {
        let admits = |principal: Value, resource: &str| {
            let statement =
                json!({"Effect": "Allow", "Principal": principal, "Action": "s3:PutObject", "Resource": resource});
            let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
            admits_log_delivery(Some(&policy), scope(), "arn:aws:s3:::logs/web/AWSLogs/1/file")
        };
        let all = "arn:aws:s3:::logs/*";
        assert!(admits(json!({"Service": SERVICE}), all));
        assert!(admits(json!({"AWS": "arn:aws:iam::127311923021:root"}), all));
        // The account of another region, another service, and another prefix.
        assert!(!admits(json!({"AWS": "arn:aws:iam::033677994240:root"}), all));
        assert!(!admits(json!({"Service": "delivery.logs.amazonaws.com"}), all));
        assert!(!admits(json!({"Service": SERVICE}), "arn:aws:s3:::logs/AWSLogs/*"));
        assert!(!admits_log_delivery(None, scope(), all));
    }
}
