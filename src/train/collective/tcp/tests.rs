//! Real sockets on loopback, between threads and between processes.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::train::collective::testing::{ranks, ranks_within};

fn floats(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(&tensor.reshape([-1])).unwrap()
}

#[test]
fn three_ranks_gather_in_their_order() {
    let all = ranks(3, |tcp| {
        let rank = tcp.rank() as f32;
        let own = Tensor::from_slice(&[rank, rank + 0.5]).reshape([1, 2]);
        let all = tcp.all_gather(&own).unwrap();
        (all.size(), floats(&all))
    });
    let expected = (vec![3, 2], vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
    assert_eq!(all, vec![expected; 3]);
}

#[test]
fn sums_are_added_in_the_order_of_ranks() {
    // In f32 only ((1e8 + 1) - 1e8) is 0; every other order gives 1.
    let addends = [1e8_f32, 1.0, -1e8];
    let sums = ranks(3, |tcp| {
        let mut tensor = Tensor::from_slice(&[addends[tcp.rank()], 1.0]);
        tcp.all_reduce_sum(&mut tensor).unwrap();
        floats(&tensor)
    });
    assert_eq!(sums, vec![vec![0.0, 3.0]; 3]);
}

#[test]
fn any_rank_can_tell_the_others_its_tensor() {
    let got = ranks(3, |tcp| {
        let mut leaf = Tensor::from(tcp.rank() as i64).to_kind(Kind::Float);
        leaf = leaf.set_requires_grad(true);
        tcp.broadcast(&mut leaf, 2).unwrap();
        tcp.barrier().unwrap();
        let last = leaf.double_value(&[]);
        tcp.broadcast(&mut leaf, 0).unwrap();
        (last, leaf.requires_grad())
    });
    assert_eq!(got, vec![(2.0, true); 3]);
}

#[test]
fn large_and_empty_tensors_pass() {
    let sums = ranks(2, |tcp| {
        let mut large = Tensor::ones([3_000_001], (Kind::Float, Device::Cpu));
        tcp.all_reduce_sum(&mut large).unwrap();
        let empty = tcp.all_gather(&Tensor::zeros([0, 4], (Kind::Float, Device::Cpu))).unwrap();
        (large.sum(Kind::Double).double_value(&[]), empty.size())
    });
    assert_eq!(sums, vec![(6_000_002.0, vec![0, 4]); 2]);
}

#[test]
fn ranks_out_of_step_are_told_who_does_what() {
    let errors = ranks(3, |tcp| {
        let mut tensor = Tensor::zeros([4 + tcp.rank() as i64 / 2], (Kind::Float, Device::Cpu));
        tcp.all_reduce_sum(&mut tensor).unwrap_err().to_string()
    });
    assert!(errors[0].contains("rank 2 does all_reduce_sum number 1 of 20 bytes"), "{errors:?}");
    assert!(errors[1..].iter().all(|error| error.contains("rank 2 does")), "{errors:?}");
}

#[test]
fn a_rank_that_hangs_is_named_within_the_timeout() {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let (done, wait) = (std::sync::Mutex::new(done), std::sync::Mutex::new(wait));
    let errors = ranks_within(3, Duration::from_secs(3), |tcp| {
        if tcp.rank() == 2 {
            // Until the others have given up.
            let _ = wait.lock().unwrap().recv();
            return String::new();
        }
        let error = tcp.barrier().unwrap_err().to_string();
        if tcp.rank() == 1 {
            done.lock().unwrap().send(()).unwrap();
        }
        error
    });
    assert!(errors[0].contains("lost rank 2 in barrier number 1: no answer"), "{errors:?}");
    assert!(errors[1].contains("rank 0 gave up: lost rank 2"), "{errors:?}");
}

#[test]
fn strangers_at_the_door_change_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut stranger = std::net::TcpStream::connect(address).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\nHost: somebody\r\n\r\n").unwrap();
    let timeout = Duration::from_secs(300);
    let sums = std::thread::scope(|scope| {
        let other = scope.spawn(move || {
            let tcp = Tcp::join(address, 1, 2, timeout).unwrap();
            floats(&tcp.all_gather(&Tensor::from_slice(&[1_f32])).unwrap())
        });
        let tcp = Tcp::host(listener, 2, timeout).unwrap();
        let own = floats(&tcp.all_gather(&Tensor::from_slice(&[0_f32])).unwrap());
        (own, other.join().unwrap())
    });
    assert_eq!(sums, (vec![0.0, 1.0], vec![0.0, 1.0]));
}

#[test]
fn a_missing_rank_and_another_world_are_named() {
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    let error = Tcp::host(listener(), 3, Duration::from_millis(50)).unwrap_err();
    assert!(error.to_string().contains("no word from rank 1, 2"), "{error}");

    let (listener, timeout) = (listener(), Duration::from_secs(60));
    let address = listener.local_addr().unwrap();
    let error = std::thread::scope(|scope| {
        scope.spawn(move || Tcp::join(address, 1, 4, timeout).unwrap_err());
        Tcp::host(listener, 2, timeout).unwrap_err()
    });
    assert!(error.to_string().contains("in a world of 4"), "{error}");
}

/// The environment variable that makes this very test one of the other ranks.
const CHILD: &str = "MAGICLENS_TEST_RANK";

#[test]
fn a_killed_process_is_named_to_all_others() {
    if std::env::var_os(CHILD).is_some() {
        return other_process();
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (survivor, mut victim) = (spawn(1, port), spawn(2, port));
    let tcp = Tcp::host(listener, 3, Duration::from_secs(60)).unwrap();
    let mut sum = Tensor::from(0_f32);
    tcp.all_reduce_sum(&mut sum).unwrap();
    assert_eq!(sum.double_value(&[]), 3.0);

    victim.kill().unwrap();
    victim.wait().unwrap();
    let error = tcp.all_reduce_sum(&mut sum).unwrap_err().to_string();
    assert!(error.contains("lost rank 2 in all_reduce_sum number 2"), "{error}");
    let output = survivor.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("rank 0 gave up: lost rank 2"), "{printed}");
}

/// Sums once, and once more, which rank 2 does not live to see.
fn other_process() {
    let tcp = Tcp::open(&World::from_env().unwrap(), Duration::from_secs(60)).unwrap();
    let mut sum = Tensor::from(tcp.rank() as i64).to_kind(Kind::Float);
    tcp.all_reduce_sum(&mut sum).unwrap();
    if tcp.rank() == 2 {
        std::thread::sleep(Duration::from_secs(600));
    }
    println!("{}", tcp.all_reduce_sum(&mut sum).unwrap_err());
}

fn spawn(rank: usize, port: u16) -> Child {
    let name = format!("{}::a_killed_process_is_named_to_all_others", module_path!());
    let name = name.split_once("::").unwrap().1;
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .envs([("MASTER_ADDR", "127.0.0.1"), ("WORLD_SIZE", "3"), (CHILD, "1")])
        .envs([("RANK", rank.to_string()), ("MASTER_PORT", port.to_string())])
        .env_remove("TORCHELASTIC_USE_AGENT_STORE")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}
