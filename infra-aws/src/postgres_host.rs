//! A component with a PostgreSQL server on a dedicated instance.

use crate::{
    Database, DefaultVpc, Instance, InstanceId, KeyName, Machine, MariaDb, Postgres, Region, Rule, SecurityGroup,
    SecurityGroupId, SubnetId, VpcId, url::percent_encoded,
};
use infra_core::{Input, Options, Output, ProgramError, Result, output_format};

/// A component with a security group and an instance that runs a PostgreSQL server.
///
/// # Access
/// Hosts in the same region connect to the private address, and only the addresses of the default VPC are admitted. Hosts
/// in a peered network connect to the private address too ([`reachable_by`](Self::reachable_by)). All other hosts connect
/// to the **public** address: without peering, VPCs of two regions cannot route to each other's private addresses, and the
/// public addresses of the applications are not known beforehand, so the port is open to the internet. The password
/// (SCRAM-SHA-256; use a long random one) and TLS protect the data: the server refuses connections without TLS, and the URL
/// contains `sslmode=require`. On the local cloud TLS is optional, because its connections never leave the machine.
///
/// # Durability
/// The data is on the instance's root disk. When the instance is replaced, for example because its type changes, the new
/// instance starts from an image of that disk ([`Instance::keep_disk`]). The previous instance is stopped first, so that no
/// data is lost; the database is unavailable until the new instance runs. A newer Debian image does not replace the
/// instance; upgrade it in place. With [`fresh`](Self::fresh), a replacement starts with an empty database.
#[must_use = "call `declare` to declare the component"]
#[derive(Clone)]
pub struct PostgresHost {
    region: Region,
    name: String,
    instance_type: String,
    database: Option<Postgres>,
    key_name: Option<Input<KeyName>>,
    network: Option<(Input<VpcId>, Input<SubnetId>, Input<String>)>,
    readers: Vec<Region>,
    clients: Vec<Input<String>>,
    ssh_from: Option<String>,
    keep_disk: bool,
}

/// Outputs of a [`PostgresHost`].
#[derive(Clone, Debug)]
pub struct PostgresHostOutputs {
    /// Connection URL, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`; secret.
    pub url: Output<String>,
    /// Address of the server as `HOST:PORT`.
    pub endpoint: Output<String>,
    /// Id of the instance.
    pub instance_id: Output<InstanceId>,
    /// Private IPv4 address of the instance.
    pub private_ip: Output<String>,
    /// Public IPv4 address of the instance; empty when it has none.
    pub public_ip: Output<String>,
    /// Id of the instance's security group.
    pub security_group_id: Output<SecurityGroupId>,
}

/// The component was declared without a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the PostgreSQL host `{0}` has no database: add `.database(name, user, password)`")]
struct NoDatabase(String);

impl PostgresHost {
    /// Creates a server in this region, on a `t3.micro` in the default VPC.
    pub fn new(region: &Region, name: impl Into<String>) -> Self {
        Self {
            region: region.clone(),
            name: name.into(),
            instance_type: "t3.micro".to_owned(),
            database: None,
            key_name: None,
            network: None,
            readers: Vec::new(),
            clients: Vec::new(),
            ssh_from: None,
            keep_disk: true,
        }
    }

    /// Sets the instance type.
    pub fn instance_type(mut self, instance_type: impl Into<String>) -> Self {
        self.instance_type = instance_type.into();
        self
    }

    /// Sets the database and the role that owns it, with the role's password.
    pub fn database(
        mut self,
        name: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<Input<String>>,
    ) -> Self {
        self.database = Some(Postgres::new(name, user, password));
        self
    }

    /// Sets the key pair for SSH access to the instance.
    pub fn key_name(mut self, key_name: impl Into<Input<KeyName>>) -> Self {
        self.key_name = Some(key_name.into());
        self
    }

    /// Places the instance in another VPC than the default VPC. `clients` is the CIDR block of the hosts that connect from
    /// the same region.
    pub fn network(
        mut self,
        vpc_id: impl Into<Input<VpcId>>,
        subnet: impl Into<Input<SubnetId>>,
        clients: impl Into<Input<String>>,
    ) -> Self {
        self.network = Some((vpc_id.into(), subnet.into(), clients.into()));
        self
    }

    /// Admits the hosts of a region. Repeated calls admit further regions.
    pub fn reachable_from(mut self, region: &Region) -> Self {
        self.readers.push(region.clone());
        self
    }

    /// Admits a CIDR block of private addresses, in the same network or in a peered one.
    pub fn reachable_by(mut self, addresses: impl Into<Input<String>>) -> Self {
        self.clients.push(addresses.into());
        self
    }

    /// Admits SSH connections to port 22 from this CIDR block only.
    pub fn ssh_from(mut self, addresses: impl Into<String>) -> Self {
        self.ssh_from = Some(addresses.into());
        self
    }

    /// Lets a replacement of the instance start with an empty database.
    pub fn fresh(mut self) -> Self {
        self.keep_disk = false;
        self
    }

    /// Declares the component and returns its outputs.
    pub fn declare(self) -> Result<PostgresHostOutputs> {
        let database = self.database.ok_or_else(|| ProgramError::from(NoDatabase(self.name.clone())))?;
        let (vpc_id, subnet, clients) = match self.network {
            Some((vpc_id, subnet, clients)) => (vpc_id, Some(subnet), clients),
            None => {
                let network = self.region.lookup(DefaultVpc);
                (network.vpc_id, None, network.cidr)
            }
        };
        let (near, far): (Vec<_>, Vec<_>) =
            self.readers.into_iter().partition(|reader| reader.name() == self.region.name());
        let mut ingress = Vec::new();
        if !near.is_empty() {
            ingress.push(Rule::tcp(database.port).from_cidr(clients).describe("the same region"));
        }
        if !far.is_empty() {
            ingress.push(Rule::tcp(database.port).from_anywhere().describe("other regions, by public address"));
        }
        let private = self.clients.into_iter();
        ingress
            .extend(private.map(|clients| Rule::tcp(database.port).from_cidr(clients).describe("private addresses")));
        ingress.extend(self.ssh_from.map(|addresses| Rule::tcp(22).from_cidr(addresses).describe("SSH")));
        let parts = self.region.component(&self.name);
        let access = parts.add("access", SecurityGroup { ingress, ..SecurityGroup::in_vpc(vpc_id) });
        let connection = Connection::to_postgres(&self.region, &database);
        let kept = if self.keep_disk { &["image"][..] } else { &[] };
        let instance = parts.with(Options::new().ignore_changes(kept.iter().copied())).add(
            "instance",
            Instance {
                security_groups: vec![access.id.clone()],
                subnet,
                key_name: self.key_name,
                machine: Machine::debian().postgres(database),
                keep_disk: self.keep_disk,
                ..Instance::new(self.instance_type)
            },
        );
        let host = if far.is_empty() { &instance.private_ip } else { &instance.public_ip };
        let (url, endpoint) = connection.to(host);
        Ok(PostgresHostOutputs {
            url,
            endpoint,
            instance_id: instance.id,
            private_ip: instance.private_ip,
            public_ip: instance.public_ip,
            security_group_id: access.id,
        })
    }
}

/// The parts of a connection URL that are the same for all hosts of a database.
pub(crate) struct Connection {
    scheme: &'static str,
    port: u16,
    user: String,
    password: Output<String>,
    database: String,
    options: &'static str,
}

impl Connection {
    /// Returns the connection to a PostgreSQL server that has not been declared yet.
    pub(crate) fn to_postgres(region: &Region, server: &Postgres) -> Self {
        Self::of(region, server, "postgres", "?sslmode=require")
    }

    /// Returns the connection to a MariaDB server that has not been declared yet.
    pub(crate) fn to_mariadb(region: &Region, server: &MariaDb) -> Self {
        Self::of(region, server, "mysql", "?ssl-mode=REQUIRED")
    }

    fn of(region: &Region, database: &Database, scheme: &'static str, tls: &'static str) -> Self {
        // Hosts accept only connections over TLS. Servers in the local cloud accept both.
        let options = if region.target().is_local() { "" } else { tls };
        Self {
            scheme,
            port: database.port,
            user: percent_encoded(&database.user),
            password: database.secret().map(|password| percent_encoded(&password)).secret(),
            database: percent_encoded(&database.database),
            options,
        }
    }

    /// Returns the URL and the endpoint of the server at this address.
    pub(crate) fn to(&self, host: &Output<String>) -> (Output<String>, Output<String>) {
        let Self { scheme, port, user, password, database, options } = self;
        let endpoint = output_format!("{}:{}", host, port);
        (output_format!("{}://{}:{}@{}/{}{}", scheme, user, password, endpoint, database, options), endpoint)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use infra_core::{
        Config, Stack, Target,
        graph::ResourceGraph,
        provider::Providers,
        random::Password,
        stack::{DeclareError, declare},
    };

    fn graph(run: impl Fn(&Stack) -> Result) -> Result<ResourceGraph, Vec<DeclareError>> {
        declare("web", "dev", Target::aws(), &Config::default(), Providers::default(), &|stack, _| run(stack)).graph
    }

    /// Renders the security group and the exports of a stack with a host in us-east-2 that is reachable from this region.
    fn reachable_from(name: &'static str) -> String {
        let graph = graph(|stack| {
            let password = stack.add("password", Password::of_length(20)).value;
            let ohio = crate::region(stack, "us-east-2");
            let host = PostgresHost::new(&ohio, "database").database("tasks", "cloud", password);
            let host = host.reachable_from(&crate::region(stack, name)).declare()?;
            assert!(host.url.expression().is_secret());
            stack.export("endpoint", host.endpoint);
            Ok(())
        });
        let graph = graph.unwrap();
        let access = graph.in_order().find(|node| node.urn.name() == "database/access").unwrap();
        // Literals and expressions are rendered with different spaces between their parts.
        let access = access.inputs.to_string().replace("\": ", "\":").replace(", \"", ",\"");
        format!("{access}\n{}", graph.exports()["endpoint"])
    }

    #[test]
    fn other_regions_connect_to_the_public_address() {
        insta::assert_snapshot!(reachable_from("us-east-1"), @r#"
        {"description":"Managed by infra","egress":[],"ingress":[{"cidr":"0.0.0.0/0","description":"other regions, by public address","from_port":5432,"protocol":"tcp","to_port":5432}],"vpc_id":${default-vpc-us-east-2.vpc_id}}
        ${database/instance.public_ip}:5432
        "#);
    }

    #[test]
    fn same_region_connects_to_the_private_address() {
        insta::assert_snapshot!(reachable_from("us-east-2"), @r#"
        {"description":"Managed by infra","egress":[],"ingress":[{"cidr":${default-vpc-us-east-2.cidr},"description":"the same region","from_port":5432,"protocol":"tcp","to_port":5432}],"vpc_id":${default-vpc-us-east-2.vpc_id}}
        ${database/instance.private_ip}:5432
        "#);
    }

    #[test]
    fn host_without_a_database_is_refused() {
        let errors = graph(|stack| {
            PostgresHost::new(&crate::region(stack, "us-east-2"), "database").declare()?;
            Ok(())
        });
        assert!(errors.unwrap_err()[0].to_string().contains("add `.database(name, user, password)`"));
    }
}
