//! A component with a replicated PostgreSQL or MariaDB server on dedicated instances.

use crate::{
    Instance, InstanceId, InstanceOutputs, KeyName, Machine, MariaDb, Postgres, Region, Replication, Rule,
    SecurityGroup, SecurityGroupId, SubnetId, VpcId, postgres_host::Connection,
};
use infra_core::{Input, Options, Output, Result, random::Password};

/// A component with a security group, an instance with the primary, and instances with its standbys.
///
/// The primary accepts writes; the standbys serve reads and receive its log (streaming replication of PostgreSQL, global
/// transaction ids of MariaDB). Resources that use the outputs of a standby are created once it streams.
///
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack, random::Password};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// let virginia = aws::region(stack, "us-east-1");
/// let network = Network::new(&virginia, "network", "10.1.0.0/16", 2)?.declare();
/// let application = virginia.add("application", SecurityGroup::in_vpc(&network.vpc_id));
/// let password = stack.add("password", Password::of_length(32)).value;
/// let database = ReplicatedDatabase::postgres(&network.region, "database")
///     .database("tasks", "cloud", password)
///     .replicas(2)
///     .network(network.vpc_id, [network.subnets.index(0), network.subnets.index(1)])
///     .reachable_by_group(application.id)
///     .declare()?;
/// stack.export("primary", database.primary.endpoint);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # Access
/// Clients and members connect to private addresses. The security group admits the declared clients, and the members to each
/// other. Connections need a password and TLS; on the local cloud TLS is optional. The password of the standbys is
/// generated.
///
/// # Durability
/// A replacement of the primary starts from its disk, as that of a [`PostgresHost`](crate::PostgresHost) does. Its address
/// changes, so the standbys are replaced as well. A replaced standby copies the data of the primary. Standbys serve reads
/// while the primary is stopped; no standby is promoted automatically.
#[must_use = "call `declare` to declare the component"]
#[derive(Clone)]
pub struct ReplicatedDatabase {
    region: Region,
    name: String,
    instance_type: String,
    engine: Engine,
    database: Option<(String, String, Input<String>)>,
    replicas: usize,
    key_name: Option<Input<KeyName>>,
    network: Option<(Input<VpcId>, Vec<Input<SubnetId>>)>,
    clients: Vec<Client>,
    ssh_from: Option<String>,
}

#[derive(Clone, Copy)]
enum Engine {
    Postgres,
    MariaDb,
}

/// A source of connections.
#[derive(Clone)]
enum Client {
    Addresses(Input<String>),
    Group(Input<SecurityGroupId>),
}

/// Outputs of a [`ReplicatedDatabase`].
#[derive(Clone, Debug)]
pub struct ReplicatedDatabaseOutputs {
    /// The server that accepts writes.
    pub primary: DatabaseMember,
    /// The standbys, which serve reads.
    pub replicas: Vec<DatabaseMember>,
    /// Id of the security group of all members.
    pub security_group_id: Output<SecurityGroupId>,
}

/// Outputs of a server of a [`ReplicatedDatabase`].
#[derive(Clone, Debug)]
pub struct DatabaseMember {
    /// Connection URL, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, or `mysql://…` of MariaDB; secret.
    pub url: Output<String>,
    /// Private address of the server as `HOST:PORT`.
    pub endpoint: Output<String>,
    /// Id of the instance.
    pub instance_id: Output<InstanceId>,
    /// Private IPv4 address of the instance.
    pub private_ip: Output<String>,
    /// Public IPv4 address of the instance; empty when it has none.
    pub public_ip: Output<String>,
}

/// The component cannot be declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Incomplete {
    #[error("the replicated database `{0}` has no database: add `.database(name, user, password)`")]
    NoDatabase(String),
    #[error("the replicated database `{0}` has no network: add `.network(vpc_id, subnets)` with at least one subnet")]
    NoNetwork(String),
    #[error("the replicated database `{name}` has {replicas} replicas: use at most {MOST_REPLICAS}")]
    TooManyReplicas { name: String, replicas: usize },
}

/// Limit of the standbys of a primary: it sends its log to up to 20 receivers, and a copy of its data needs two.
const MOST_REPLICAS: usize = 9;

impl ReplicatedDatabase {
    /// Creates a PostgreSQL primary and one replica in this region, on instances of the type `t3.micro`.
    pub fn postgres(region: &Region, name: impl Into<String>) -> Self {
        Self::new(region, name.into(), Engine::Postgres)
    }

    /// Creates a MariaDB primary and one replica in this region, on instances of the type `t3.micro`.
    pub fn mariadb(region: &Region, name: impl Into<String>) -> Self {
        Self::new(region, name.into(), Engine::MariaDb)
    }

    fn new(region: &Region, name: String, engine: Engine) -> Self {
        Self {
            region: region.clone(),
            name,
            engine,
            instance_type: "t3.micro".to_owned(),
            database: None,
            replicas: 1,
            key_name: None,
            network: None,
            clients: Vec::new(),
            ssh_from: None,
        }
    }

    /// Sets the instance type of all members.
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
        self.database = Some((name.into(), user.into(), password.into()));
        self
    }

    /// Sets the number of standbys, 0 to 9.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// Sets the key pair for SSH access to the instances.
    pub fn key_name(mut self, key_name: impl Into<Input<KeyName>>) -> Self {
        self.key_name = Some(key_name.into());
        self
    }

    /// Places the instances in this VPC. The primary is in the first subnet, and each replica in the next one; after the last
    /// subnet follows the first.
    pub fn network<S: Into<Input<SubnetId>>>(
        mut self,
        vpc_id: impl Into<Input<VpcId>>,
        subnets: impl IntoIterator<Item = S>,
    ) -> Self {
        self.network = Some((vpc_id.into(), subnets.into_iter().map(Into::into).collect()));
        self
    }

    /// Admits a CIDR block of private addresses. Repeated calls admit further blocks.
    pub fn reachable_by(mut self, addresses: impl Into<Input<String>>) -> Self {
        self.clients.push(Client::Addresses(addresses.into()));
        self
    }

    /// Admits the members of a security group. Repeated calls admit further groups.
    pub fn reachable_by_group(mut self, group: impl Into<Input<SecurityGroupId>>) -> Self {
        self.clients.push(Client::Group(group.into()));
        self
    }

    /// Admits SSH connections to port 22 from this CIDR block only.
    pub fn ssh_from(mut self, addresses: impl Into<String>) -> Self {
        self.ssh_from = Some(addresses.into());
        self
    }

    /// Declares the component and returns its outputs.
    pub fn declare(self) -> Result<ReplicatedDatabaseOutputs> {
        let Self { region, name, instance_type, engine, database, replicas, key_name, network, clients, ssh_from } =
            self;
        if replicas > MOST_REPLICAS {
            return Err(Incomplete::TooManyReplicas { name, replicas }.into());
        }
        let database = database.ok_or_else(|| Incomplete::NoDatabase(name.clone()))?;
        let network = network.filter(|(_, subnets)| !subnets.is_empty());
        let (vpc_id, subnets) = network.ok_or_else(|| Incomplete::NoNetwork(name.clone()))?;
        let (database, user, password) = database;
        let postgres = Postgres::new(&*database, &*user, password.clone());
        let mariadb = MariaDb::new(&*database, &*user, password);
        let (connection, port) = match engine {
            Engine::Postgres => (Connection::to_postgres(&region, &postgres), postgres.port),
            Engine::MariaDb => (Connection::to_mariadb(&region, &mariadb), mariadb.port),
        };
        let parts = region.component(&name);
        let ingress = ingress(port, clients, ssh_from);
        let access = parts.add("access", SecurityGroup { ingress, ..SecurityGroup::in_vpc(vpc_id) });
        let standbys = parts.scope().add("replication-password", Password::of_length(32)).value;
        let machine = |replication: Replication| match engine {
            Engine::Postgres => Machine::debian().postgres(postgres.clone().replication(replication)),
            Engine::MariaDb => Machine::debian().mariadb(mariadb.clone().replication(replication)),
        };
        let member = |index: usize, replication: Replication| Instance {
            security_groups: vec![access.id.clone()],
            subnet: Some(subnets[index % subnets.len()].clone()),
            key_name: key_name.clone(),
            machine: machine(replication),
            ..Instance::new(instance_type.clone())
        };
        // A newer Debian image replaces no member.
        let instances = parts.with(Options::new().ignore_changes(["image"]));
        let primary = Instance { keep_disk: true, ..member(0, Replication::primary(standbys.clone())) };
        let primary = instances.add("primary", primary);
        let replicas = (0..replicas).map(|index| {
            let replication = Replication::standby_of(primary.private_ip.clone(), standbys.clone());
            let replica = instances.add(&format!("replica-{index}"), member(index + 1, replication));
            DatabaseMember::of(&connection, replica)
        });
        Ok(ReplicatedDatabaseOutputs {
            replicas: replicas.collect(),
            primary: DatabaseMember::of(&connection, primary),
            security_group_id: access.id,
        })
    }
}

fn ingress(port: u16, clients: Vec<Client>, ssh_from: Option<String>) -> Vec<Rule> {
    let clients = clients.into_iter().map(|client| match client {
        Client::Addresses(addresses) => Rule::tcp(port).from_cidr(addresses).describe("clients"),
        Client::Group(group) => Rule::tcp(port).from_group(group).describe("clients"),
    });
    let members = Rule::tcp(port).from_itself().describe("replication");
    let ssh = ssh_from.map(|addresses| Rule::tcp(22).from_cidr(addresses).describe("SSH"));
    clients.chain([members]).chain(ssh).collect()
}

impl DatabaseMember {
    fn of(connection: &Connection, instance: InstanceOutputs) -> Self {
        let (url, endpoint) = connection.to(&instance.private_ip);
        let InstanceOutputs { id, private_ip, public_ip, .. } = instance;
        Self { url, endpoint, instance_id: id, private_ip, public_ip }
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
        stack::{DeclareError, declare},
    };

    fn graph(run: impl Fn(ReplicatedDatabase) -> Result) -> Result<ResourceGraph, Vec<DeclareError>> {
        let program =
            |stack: &Stack, _: &Config| run(ReplicatedDatabase::postgres(&crate::region(stack, "us-east-1"), "tasks"));
        declare("web", "dev", Target::aws(), &Config::default(), Providers::default(), &program).graph
    }

    fn in_network(cluster: ReplicatedDatabase) -> ReplicatedDatabase {
        let subnets = ["subnet-1", "subnet-2"].map(SubnetId::from);
        cluster.database("tasks", "cloud", "long-secret").network(VpcId::from("vpc-1"), subnets)
    }

    #[test]
    fn members_replicate_in_several_subnets_and_admit_clients_and_each_other() {
        let graph = graph(|cluster| {
            let group = SecurityGroupId::from("sg-1");
            let cluster = in_network(cluster).replicas(2).reachable_by_group(group).reachable_by("10.9.0.0/16");
            let outputs = cluster.declare()?;
            assert!(outputs.primary.url.expression().is_secret());
            let endpoints = outputs.replicas.iter().map(|replica| replica.endpoint.expression().to_string());
            assert_eq!(
                endpoints.collect::<Vec<_>>(),
                ["${tasks/replica-0.private_ip}:5432", "${tasks/replica-1.private_ip}:5432"]
            );
            Ok(())
        });
        let graph = graph.unwrap();
        let shown = graph
            .in_order()
            .filter(|node| ["SecurityGroup ", "Instance "].iter().any(|kind| node.urn.short().starts_with(kind)));
        let lines = shown.map(|node| format!("{}: {}", node.urn.short(), node.inputs));
        // Literals and expressions are rendered with different spaces between their parts.
        let text = lines.collect::<Vec<_>>().join("\n").replace("\": ", "\":").replace(", \"", ",\"");
        insta::assert_snapshot!(text, @r#"
        SecurityGroup tasks/access: {"description":"Managed by infra","egress":[],"ingress":[{"description":"clients","from_port":5432,"group":"sg-1","protocol":"tcp","to_port":5432},{"cidr":"10.9.0.0/16","description":"clients","from_port":5432,"protocol":"tcp","to_port":5432},{"description":"replication","from_port":5432,"itself":true,"protocol":"tcp","to_port":5432}],"vpc_id":"vpc-1"}
        Instance tasks/primary: {"image":${image-us-east-1-debian-12-amd64.id},"instance_profile":${tasks/primary/profile.name},"instance_type":"t3.micro","keep_disk":true,"machine":{"files":[],"image":"debian-12","packages":["postgresql"],"postgres":{"database":"tasks","password":{"parameter":${tasks/primary/postgres-password.name},"version":${tasks/primary/postgres-password.version}},"port":5432,"replication":{"password":{"parameter":${tasks/primary/postgres-replication-password.name},"version":${tasks/primary/postgres-replication-password.version}}},"user":"cloud"},"services":[]},"security_groups":[${tasks/access.id}],"subnet":"subnet-1"}
        Instance tasks/replica-0: {"image":${image-us-east-1-debian-12-amd64.id},"instance_profile":${tasks/replica-0/profile.name},"instance_type":"t3.micro","machine":{"files":[],"image":"debian-12","packages":["postgresql"],"postgres":{"database":"tasks","password":{"parameter":${tasks/replica-0/postgres-password.name},"version":${tasks/replica-0/postgres-password.version}},"port":5432,"replication":{"password":{"parameter":${tasks/replica-0/postgres-replication-password.name},"version":${tasks/replica-0/postgres-replication-password.version}},"primary":${tasks/primary.private_ip}},"user":"cloud"},"services":[]},"security_groups":[${tasks/access.id}],"subnet":"subnet-2"}
        Instance tasks/replica-1: {"image":${image-us-east-1-debian-12-amd64.id},"instance_profile":${tasks/replica-1/profile.name},"instance_type":"t3.micro","machine":{"files":[],"image":"debian-12","packages":["postgresql"],"postgres":{"database":"tasks","password":{"parameter":${tasks/replica-1/postgres-password.name},"version":${tasks/replica-1/postgres-password.version}},"port":5432,"replication":{"password":{"parameter":${tasks/replica-1/postgres-replication-password.name},"version":${tasks/replica-1/postgres-replication-password.version}},"primary":${tasks/primary.private_ip}},"user":"cloud"},"services":[]},"security_groups":[${tasks/access.id}],"subnet":"subnet-1"}
        "#);
    }

    #[test]
    fn incomplete_cluster_is_refused() {
        let error = |run: fn(ReplicatedDatabase) -> ReplicatedDatabase| {
            graph(|cluster| run(cluster).declare().map(drop)).unwrap_err()[0].to_string()
        };
        assert!(error(|cluster| cluster).contains("add `.database(name, user, password)`"));
        let unplaced = error(|cluster| cluster.database("tasks", "cloud", "secret"));
        assert!(unplaced.contains("add `.network(vpc_id, subnets)` with at least one subnet"), "{unplaced}");
        assert!(error(|cluster| in_network(cluster).replicas(10)).contains("use at most 9"));
    }
}
