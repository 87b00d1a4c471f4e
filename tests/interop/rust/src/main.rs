//! The Rust peer of the tests: `rustpeer MODE ...`; JSON lines out, one command a line in. A module a mode.

mod discv5;
mod gossip;
mod kad;
mod reqresp;
mod stack;

fn main() {
    let mut args = std::env::args().skip(1);
    let mode = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    match mode.as_str() {
        "discv5" => discv5::run(args),
        "stack" => stack::main(args),
        "reqresp" => reqresp::main(args),
        "kad" => kad::main(args),
        "gossip" => gossip::run(args), // a row for each mode
        _ => {
            eprintln!("rustpeer: no mode {mode:?}");
            std::process::exit(2);
        }
    }
}
