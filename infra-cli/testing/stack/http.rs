//! A minimal HTTP client.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// Sends a GET request to an endpoint such as `http://127.0.0.1:4000`, and returns the whole response.
pub(crate) fn get(endpoint: &str, path: &str) -> std::io::Result<String> {
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
