/* A load generator for the benchmarks: keep-alive HTTP/1.1 requests with one fixed body, over a unix socket or over TLS
 * with a client certificate, as fast as answered or at a steady rate. One thread, epoll. Prints one JSON line.
 *
 * load -u SOCKET | -t HOST -P PORT -C CERT -K KEY -A CA   -b BODYFILE -p PATH [-H "Name: value"]... -c CONNECTIONS
 *      -s SECONDS [-r RATE]
 *
 * With -r, requests are due at fixed times (open loop): a latency counts from the time that a request was due, so that a
 * stalled server is not flattered. An answer other than 200 counts as an error. Twelve @ in the body stand for a text
 * that is another one in every request of every generator. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 1024
#define BUFFER (1 << 16)

typedef struct {
    int fd;
    SSL *ssl;
    size_t sent;
    int busy;
    int64_t since;
    size_t have;
    long body_left; /* -1: headers are not complete */
    char *buffer;
    char *request; /* its own copy where requests differ */
} connection;

static char *request;
static size_t request_length;
#define MARK "@@@@@@@@@@@@"
static char *mark;
static uint32_t begun;
static uint32_t *latencies;
static size_t done, errors, room;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(2);
}

static ssize_t put(connection *c, const char *data, size_t length) {
    if (!c->ssl) return send(c->fd, data, length, MSG_NOSIGNAL);
    int n = SSL_write(c->ssl, data, (int)length);
    if (n > 0) return n;
    errno = SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_WRITE || SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ ? EAGAIN : EIO;
    return -1;
}

static ssize_t get(connection *c, char *data, size_t length) {
    if (!c->ssl) return recv(c->fd, data, length, 0);
    int n = SSL_read(c->ssl, data, (int)length);
    if (n > 0) return n;
    int e = SSL_get_error(c->ssl, n);
    if (e == SSL_ERROR_ZERO_RETURN) return 0;
    errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return -1;
}

static void push(connection *c) {
    while (c->sent < request_length) {
        ssize_t n = put(c, c->request + c->sent, request_length - c->sent);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) die("send");
        c->sent += (size_t)n;
    }
}

static void begin(connection *c, int64_t since) {
    c->busy = 1;
    c->since = since;
    c->sent = 0;
    c->have = 0;
    c->body_left = -1;
    if (mark) {
        char text[13];
        snprintf(text, sizeof text, "%04x%08x", (unsigned)getpid() & 0xffff, begun++);
        memcpy(c->request + (mark - request), text, 12);
    }
    push(c);
}

/* Returns 1 when the answer is complete. */
static int pull(connection *c) {
    for (;;) {
        if (c->body_left == 0) return 1;
        ssize_t n;
        if (c->body_left > 0) {
            n = get(c, c->buffer, c->body_left < BUFFER ? (size_t)c->body_left : BUFFER);
            if (n > 0) c->body_left -= n;
        } else {
            n = get(c, c->buffer + c->have, BUFFER - 1 - c->have);
            if (n > 0) {
                c->have += (size_t)n;
                c->buffer[c->have] = 0;
                char *end = strstr(c->buffer, "\r\n\r\n");
                if (end) {
                    char *field = strcasestr(c->buffer, "\r\ncontent-length:");
                    if (!field || field > end) { fprintf(stderr, "load: no content-length\n"); exit(2); }
                    long length = strtol(field + 17, NULL, 10);
                    if (strncmp(c->buffer + 9, "200", 3)) errors++;
                    c->body_left = length - (long)(c->have - (size_t)(end + 4 - c->buffer));
                }
            }
        }
        if (n < 0 && errno == EAGAIN) return 0;
        if (n <= 0) die("receive");
    }
}

static void finish(connection *c) {
    int64_t took = (now_ns() - c->since) / 1000;
    if (done == room) {
        room = room ? room * 2 : 1 << 16;
        latencies = realloc(latencies, room * sizeof *latencies);
    }
    latencies[done++] = took < 0 ? 0 : (uint32_t)took;
    c->busy = 0;
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static unsigned percentile(double share) { return done ? latencies[(size_t)(share * (double)(done - 1))] : 0; }

static char *slurp(const char *path, size_t *length) {
    FILE *f = fopen(path, "rb");
    if (!f) die(path);
    char *data = malloc(64 << 20);
    *length = fread(data, 1, 64 << 20, f);
    fclose(f);
    return data;
}

int main(int argc, char **argv) {
    const char *unix_path = NULL, *host = NULL, *port = NULL, *cert = NULL, *key = NULL, *ca = NULL, *body = NULL, *path = "/";
    static char headers[1 << 15];
    int connections = 16, option;
    double seconds = 5, rate = 0;
    while ((option = getopt(argc, argv, "u:t:P:C:K:A:b:p:H:c:s:r:")) != -1) switch (option) {
        case 'u': unix_path = optarg; break;
        case 't': host = optarg; break;
        case 'P': port = optarg; break;
        case 'C': cert = optarg; break;
        case 'K': key = optarg; break;
        case 'A': ca = optarg; break;
        case 'b': body = optarg; break;
        case 'p': path = optarg; break;
        case 'H': strcat(strcat(headers, optarg), "\r\n"); break;
        case 'c': connections = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'r': rate = atof(optarg); break;
        default: return 2;
    }
    if (connections < 1 || connections > MAX_CONNECTIONS || !body) return 2;
    size_t body_length;
    char *content = slurp(body, &body_length);
    request = malloc(body_length + sizeof headers + 1024);
    int head = sprintf(request, "POST %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n", path, headers, body_length);
    memcpy(request + head, content, body_length);
    request_length = (size_t)head + body_length;
    mark = memmem(request + head, body_length, MARK, sizeof MARK - 1);

    SSL_CTX *context = NULL;
    if (host) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        if (SSL_CTX_load_verify_locations(context, ca, NULL) != 1 || SSL_CTX_use_certificate_chain_file(context, cert) != 1 ||
            SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
            die("credentials");
    }
    static connection all[MAX_CONNECTIONS];
    int poller = epoll_create1(0);
    for (int i = 0; i < connections; i++) {
        connection *c = &all[i];
        if (unix_path) {
            struct sockaddr_un address = {.sun_family = AF_UNIX};
            strncpy(address.sun_path, unix_path, sizeof address.sun_path - 1);
            c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
            if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) die(unix_path);
        } else {
            struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
            if (getaddrinfo(host, port, &hints, &found)) die(host);
            c->fd = socket(found->ai_family, SOCK_STREAM, 0);
            if (connect(c->fd, found->ai_addr, found->ai_addrlen)) die(host);
            freeaddrinfo(found);
            c->ssl = SSL_new(context);
            SSL_set_fd(c->ssl, c->fd);
            if (SSL_connect(c->ssl) != 1) die("handshake");
        }
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        c->buffer = malloc(BUFFER);
        c->request = mark ? memcpy(malloc(request_length), request, request_length) : request;
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event)) die("epoll");
    }

    /* The due times wake the generator: spinning until then would take a processor from the box. */
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event on_timer = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    if (timer < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, timer, &on_timer)) die("timer");

    int64_t start = now_ns(), end = start + (int64_t)(seconds * 1e9), step = rate > 0 ? (int64_t)(1e9 / rate) : 0, due = start;
    size_t missed = 0;
    if (!step)
        for (int i = 0; i < connections; i++) begin(&all[i], now_ns());
    int in_flight = step ? 0 : connections;
    for (;;) {
        int64_t now = now_ns();
        if (step)
            for (int i = 0; due <= now && now < end; i = (i + 1) % connections) {
                int tried = 0;
                while (all[i].busy && tried++ < connections) i = (i + 1) % connections;
                if (all[i].busy) break; /* every connection waits: the request stays due */
                begin(&all[i], due);
                due += step;
                in_flight++;
            }
        if (now >= end) {
            if (step) for (; due < end; due += step) missed++;
            if (!in_flight || now > end + 10000000000) break;
        }
        struct epoll_event events[256];
        if (step && due > now) {
            struct itimerspec at = {.it_value = {due / 1000000000, due % 1000000000}};
            timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
        }
        int n = epoll_wait(poller, events, 256, 1000);
        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;
            if (!c || !c->busy) continue;
            if (c->sent < request_length) push(c);
            if (c->sent == request_length && pull(c)) {
                finish(c);
                if (!step && now_ns() < end) begin(c, now_ns());
                else in_flight--;
            }
        }
    }
    double took = (double)(now_ns() - start) / 1e9;
    qsort(latencies, done, sizeof *latencies, by_value);
    printf("{\"requests\": %zu, \"errors\": %zu, \"missed\": %zu, \"seconds\": %.3f, \"rate\": %.1f, \"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n",
           done, errors, missed, took, (double)done / took, percentile(.5), percentile(.99), percentile(1));
    return errors || missed ? 1 : 0;
}
