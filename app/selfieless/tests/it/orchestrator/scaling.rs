//! The number of instances follows the requests in a window.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::mpsc,
    thread,
};

use kit::testing::{send, wait_until};

use super::{Kind, System, system::FIRST_PORT, with_both_runtimes};
use crate::act;

fn requests_scale_out_and_silence_scales_in(kind: Kind) {
    let settings = [("WINDOW_SECONDS", "0.5"), ("REQUESTS_PER_INSTANCE", "5"), ("MAX_INSTANCES", "3")];
    let system = System::start(kind, &settings);
    system.wait_for(1);
    wait_until("the load has three healthy instances", || {
        for _ in 0..20 {
            assert_eq!(system.send("GET /api/v1/acts/count", "").status, 200);
        }
        let instances = system.instances();
        assert!(instances.len() <= 3, "{instances:?}");
        instances.iter().filter(|instance| instance["healthy"] == true).count() == 3
    });
    let first = system.instances()[0]["id"].clone();
    // Health checks are no load.
    wait_until("one instance remains", || {
        assert_eq!(system.send("GET /api/v1/_health", "").status, 200);
        system.instances().len() == 1
    });
    system.wait_for(1);
    let instances = system.instances();
    assert_eq!((&instances[0]["port"], &instances[0]["id"]), (&FIRST_PORT.into(), &first));
    assert_eq!((system.count("replaced"), system.count("unavailable")), (0, 0));
    assert_eq!(system.send("GET /api/v1/acts/count", "").status, 200);
}

/// The text of the original says 10, its program 20.
#[test]
fn the_threshold_of_the_original_text_scales_too() {
    let system = System::start(Kind::Processes, &[("WINDOW_SECONDS", "3"), ("REQUESTS_PER_INSTANCE", "10")]);
    system.wait_for(1);
    for _ in 0..25 {
        assert_eq!(system.send("GET /api/v1/acts/count", "").status, 200);
    }
    system.wait_for(3);
    system.wait_for(1);
}

/// An upload is in flight while the service `users` does not respond.
fn an_instance_is_drained_before_its_stop(kind: Kind) {
    let users = TcpListener::bind("127.0.0.1:0").unwrap();
    let users_url = format!("http://{}", users.local_addr().unwrap());
    let settings =
        [("WINDOW_SECONDS", "0.4"), ("REQUESTS_PER_INSTANCE", "5"), ("MAX_INSTANCES", "2"), ("USERS_URL", &users_url)];
    let system = System::start(kind, &settings);
    system.wait_for(1);
    assert_eq!(system.send("POST /api/v1/categories", r#"["trees"]"#).status, 201);
    wait_until("the load has two healthy instances", || {
        for _ in 0..10 {
            assert_eq!(system.send("GET /api/v1/acts/count", "").status, 200);
        }
        system.instances().iter().filter(|instance| instance["healthy"] == true).count() == 2
    });
    let address = system.address;
    let uploads: Vec<_> = (1..=2)
        .map(|id| thread::spawn(move || send(address, "POST /api/v1/acts", &[], &act(id, "ana", "trees")).status))
        .collect();
    // Each instance asks for the users.
    let (sender, requests) = mpsc::channel();
    let waiting = thread::spawn(move || {
        for _ in 0..2 {
            let (stream, _) = users.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            sender.send(stream).unwrap();
        }
    });
    let connections: Vec<_> = requests.iter().take(2).collect();
    wait_until("the second instance is drained", || {
        let instances = system.instances();
        instances.len() == 2 && instances[1]["state"] == "draining" && instances[1]["in_flight"] == 1
    });
    for mut connection in connections {
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\n[\"ana\"]").unwrap();
    }
    for upload in uploads {
        assert_eq!(upload.join().unwrap(), 201);
    }
    waiting.join().unwrap();
    system.wait_for(1);
    assert_eq!(system.send("GET /api/v1/acts/count", "").body, "[2]");
}

with_both_runtimes! {
    requests_scale_out_and_silence_scales_in, processes_follow_the_load, containers_follow_the_load;
    an_instance_is_drained_before_its_stop, a_process_is_drained_before_its_stop, a_container_is_drained_before_its_stop;
}
