//! Page of the network.

use super::{Failure, Frame, Page, Shared, render};
use crate::views::network::Network;
use askama::Template;
use axum::extract::State;

#[derive(Template)]
#[template(path = "network.html")]
struct NetworkPage {
    frame: Frame,
    network: Network,
    svg: Option<String>,
    topics: &'static str,
}

pub(super) async fn page(State(shared): State<Shared>, frame: Frame) -> Page {
    match Network::load(&shared.context).await {
        Ok(network) => {
            let svg = network.svg();
            Ok(render(&NetworkPage { frame, network, svg, topics: "cloud" }))
        }
        Err(problem) => Err(Failure::of(frame)(problem)),
    }
}
