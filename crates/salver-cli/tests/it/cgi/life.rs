//! The life of a script's process.

use super::*;

/// The processes that `server` has started and what they started, also what has left their group.
pub(super) fn alive(server: &Server) -> Vec<String> {
    let mark = format!("SCRIPT_FILENAME={}", server.path("").canonicalize().unwrap().display());
    let parent = server.pid().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // `pid (name) state parent …`; a zombie has no environment any more.
        let behind: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let ours = environment.windows(mark.len()).any(|window| window == mark.as_bytes());
        if ours || behind.get(1) == Some(&parent.as_str()) {
            found.push(stat);
        }
    }
    found
}

#[track_caller]
pub(super) fn nothing_is_left(server: &Server) {
    let mut left = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        left = alive(server);
        if left.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("left behind: {left:?}");
}

#[test]
fn a_script_has_a_group_of_its_own_and_nothing_of_ours() {
    // The shell reads its own status: while it starts another program to do so, it blocks signals itself.
    let look = "#!/bin/sh\nps -o pgid= -p $$ >group\nprintf 'X: y\\n\\n'\necho group $(cat group) $$\n\
        while IFS= read -r line; do case $line in NoNewPrivs*|SigBlk*) echo \"$line\";; esac; done </proc/$$/status\n\
        echo core $(ulimit -c)\numask\nexec ls /proc/self/fd\n";
    let server = serve(["--cgi", "--umask", "027"]).script("cgi-bin/look", look).start();
    let text = server.send("GET /cgi-bin/look HTTP/1.0\r\n\r\n").status(200).text();
    let lines: Vec<_> = text.lines().collect();
    let group: Vec<_> = lines[0].split(' ').collect();
    assert_eq!(group[1], group[2], "{text}");
    assert!(text.ends_with("\n0\n1\n2\n3\n"), "3 is the folder that ls reads: {text}");
    for line in ["NoNewPrivs:\t1", "SigBlk:\t0000000000000000", "core 0", "0027"] {
        assert!(lines.contains(&line), "{line} in {text}");
    }
}

#[test]
fn a_silent_script_is_ended_with_its_group() {
    let hang = "#!/bin/sh\nsleep 300 & sleep 300\n";
    let deaf = "#!/bin/sh\ntrap '' TERM\nsleep 300 & sleep 300 & wait; while :; do sleep 1; done\n";
    for script in [hang, deaf] {
        let server = serve(["--cgi", "--timeout", "0.3"]).script("cgi-bin/hang", script).start();
        server.get("/cgi-bin/hang").status(504);
        nothing_is_left(&server);
    }
}

#[test]
fn silence_midway_cuts_the_answer() {
    let hang = "#!/bin/sh\nprintf 'X: y\\n\\npart'\nsleep 300\n";
    let server = serve(["--cgi", "--timeout", "0.3"]).script("cgi-bin/hang", hang).start();
    let answer = server.get("/cgi-bin/hang").status(200);
    assert_eq!(answer.text(), "4\r\npart\r\n");
    nothing_is_left(&server);
}

#[test]
fn death_midway_cuts_the_answer() {
    let server = with([("die", "#!/bin/sh\nprintf 'X: y\\n\\npart'\nkill -9 $$\n".into())]).start();
    assert_eq!(server.get("/cgi-bin/die").status(200).text(), "4\r\npart\r\n");
}

#[test]
fn a_script_is_not_silent_while_it_waits_for_its_client() {
    let server =
        serve(["--cgi", "--timeout", "0.3"]).script("cgi-bin/wc", "#!/bin/sh\nprintf 'X: y\\n\\n'; wc -c\n");
    let silent = "#!/bin/sh\nread x\nprintf 'X: y\\n\\n'; echo $x\n";
    let server = server.script("cgi-bin/read", silent).start();
    let mut socket = server.connect();
    socket.write_all(b"POST /cgi-bin/read HTTP/1.0\r\nContent-Length: 6\r\n\r\nhel").unwrap();
    std::thread::sleep(Duration::from_millis(900)); // longer than --timeout: the point of the test
    socket.write_all(b"lo\n").unwrap();
    let mut all = String::new();
    socket.read_to_string(&mut all).unwrap();
    assert!(all.ends_with("\r\n\r\nhello\n"), "{all}");
}

#[test]
fn a_client_that_leaves_ends_the_group() {
    for say in ["", "printf 'X: y\\n\\npart'\n"] {
        let script = format!("#!/bin/sh\n{say}touch started\nsleep 300 & sleep 300\n");
        let server = with([("hang", script)]).start();
        let mut socket = server.connect();
        socket.write_all(b"GET /cgi-bin/hang HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        until("the script runs", || server.path("cgi-bin/started").exists());
        assert!(!alive(&server).is_empty());
        drop(socket);
        nothing_is_left(&server);
    }
}

#[test]
fn what_a_script_leaves_behind_holds_up_no_answer() {
    let fork = "#!/bin/sh\nprintf 'X: y\\n\\ndone'\nsleep 300 &\n";
    let daemon = "#!/bin/sh\nprintf 'X: y\\n\\ndone'\nsetsid sh -c 'sleep 1' &\n";
    for script in [fork, daemon] {
        let server = with([("fork", script.into())]).start();
        let start = Instant::now();
        server.send("GET /cgi-bin/fork HTTP/1.0\r\n\r\n").status(200).body("done");
        assert!(start.elapsed() < Duration::from_secs(20));
        nothing_is_left(&server);
    }
}

#[test]
fn a_script_that_closes_its_output_works_on() {
    let work = "#!/bin/sh\nprintf 'X: y\\n\\ndone'\nexec >&- 2>&-\nuntil [ -e go ]; do sleep 0.01; done\ntouch end\n";
    let server = with([("work", work.into())]).start();
    server.send("GET /cgi-bin/work HTTP/1.0\r\n\r\n").status(200).body("done");
    std::fs::write(server.path("cgi-bin/go"), "").unwrap();
    until("the script has worked to its end", || server.path("cgi-bin/end").exists());
    nothing_is_left(&server);
}

#[test]
fn a_stop_ends_what_runs() {
    let server = serve(["--cgi", "--graceful-timeout", "0.2"]);
    let server = server.script("cgi-bin/hang", "#!/bin/sh\ntouch started\nsleep 300 & sleep 300\n").start();
    let mut socket = server.connect();
    socket.write_all(b"GET /cgi-bin/hang HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    until("the script runs", || server.path("cgi-bin/started").exists());
    let before = alive(&server);
    assert!(!before.is_empty());
    server.signal("TERM");
    let pids: Vec<_> = before.iter().filter_map(|stat| stat.split(' ').next()).collect();
    let (status, _) = server.wait();
    assert!(status.success());
    until("its scripts have ended", || {
        pids.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}/cwd")).exists())
    });
}

#[test]
fn more_scripts_than_the_limit_wait_their_turn_and_then_are_refused() {
    let wait =
        "#!/bin/sh\nprintf 'X: y\\n\\n'\ntouch started\nuntil [ -e go ]; do printf .; sleep 0.05; done\n";
    let server = serve(["--cgi", "--cgi-limit", "1", "--timeout", "0.5"]);
    let server = server.script("cgi-bin/wait", wait).script("htbin/hello", HELLO).start();
    let mut first = server.connect();
    first.write_all(b"GET /cgi-bin/wait HTTP/1.0\r\n\r\n").unwrap();
    until("the first runs", || server.path("cgi-bin/started").exists());
    let refused = server.get("/htbin/hello").status(503);
    assert!(refused.find("Retry-After").is_some());
    std::fs::write(server.path("cgi-bin/go"), "").unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 ") && answer.ends_with("."), "{answer}");
    nothing_is_left(&server);
    server.get("/htbin/hello").status(200);
}

#[test]
fn thirty_two_at_once_leave_nothing_whatever_the_limit() {
    for limit in ["2", "32"] {
        let server = serve(["--cgi", "--cgi-limit", limit]).script("cgi-bin/hello", HELLO).start();
        server.get("/cgi-bin/hello").status(200);
        let files = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
        let before = files();
        let ask = |server: Arc<Server>| {
            std::thread::spawn(move || (0..5).for_each(|_| drop(server.get("/cgi-bin/hello").status(200))))
        };
        let threads: Vec<_> = (0..32).map(|_| ask(Arc::clone(&server))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        nothing_is_left(&server);
        until("as many descriptors as before", || files() <= before);
    }
}
