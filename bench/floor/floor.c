/* The floor: what this machine's kernel asks for one small answer, with no server in between.
 *
 *     floor ANSWER-FILE
 *
 * One epoll loop on 127.0.0.1: reads until a blank line and sends the bytes of ANSWER-FILE, whatever was asked. It keeps
 * connections, answers pipelined requests one by one, parses nothing, keeps no time and checks nothing. It is a measuring
 * stick, never a server: a peer that closes early or reads slowly simply loses its connection. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_DESCRIPTOR = 65536, EVENTS = 512 };

static char answer[65536];
static size_t answer_length;
/* How much of "\r\n\r\n" each connection has seen: a request may arrive in pieces. */
static unsigned char seen[MAX_DESCRIPTOR];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void read_answer(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) fail(path);
    ssize_t length = read(file, answer, sizeof answer);
    if (length <= 0) fail(path);
    answer_length = (size_t)length;
    close(file);
}

/* A listening socket on a free port of 127.0.0.1; prints the startup line that the harness waits for. */
static int listen_somewhere(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024)) fail("listen");
    if (getsockname(listener, (struct sockaddr *)&address, &size)) fail("getsockname");
    int port = ntohs(address.sin_port);
    printf("Serving HTTP on 127.0.0.1 port %d (http://127.0.0.1:%d/) ...\n", port, port);
    fflush(stdout);
    return listener;
}

static void accept_all(int epoll, int listener) {
    int one = 1;
    int peer;
    while ((peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (peer >= MAX_DESCRIPTOR) {
            close(peer);
            continue;
        }
        seen[peer] = 0;
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = peer};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, peer, &event)) fail("epoll_ctl");
    }
}

/* Counts the blank lines in what arrived, across reads. */
static int requests_in(int peer, const char *bytes, size_t length) {
    static const char blank[4] = "\r\n\r\n";
    unsigned char matched = seen[peer];
    int requests = 0;
    for (size_t i = 0; i < length; i++) {
        matched = bytes[i] == blank[matched] ? matched + 1 : bytes[i] == '\r';
        if (matched == sizeof blank) {
            requests++;
            matched = 0;
        }
    }
    seen[peer] = matched;
    return requests;
}

static void serve(int peer) {
    char bytes[4096];
    ssize_t length = read(peer, bytes, sizeof bytes);
    int requests = length > 0 ? requests_in(peer, bytes, (size_t)length) : 0;
    int alive = length > 0;
    while (alive && requests-- > 0) alive = write(peer, answer, answer_length) == (ssize_t)answer_length;
    if (!alive) close(peer);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fputs("usage: floor ANSWER-FILE\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    read_answer(argv[1]);
    int listener = listen_somewhere();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event)) fail("epoll");
    struct epoll_event ready[EVENTS];
    for (;;) {
        int count = epoll_wait(epoll, ready, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (ready[i].data.fd == listener) accept_all(epoll, listener);
            else serve(ready[i].data.fd);
        }
    }
}
