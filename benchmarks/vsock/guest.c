/* The guest's only program. Over vsock and over TCP: port 1024 echoes, 1025 counts, 1026 sends as much as it is told. */
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE (256 * 1024)
#define WINDOW (1024 * 1024)

struct end {
    int socket;
    int port;
};

static struct end *an_end(int socket, int port)
{
    struct end *end = malloc(sizeof *end);

    end->socket = socket;
    end->port = port;
    return end;
}

static int send_all(int socket, const char *data, size_t size)
{
    while (size) {
        ssize_t sent = write(socket, data, size);
        if (sent <= 0)
            return -1;
        data += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static void serve(int socket, int port, char *piece)
{
    uint64_t bytes = 0;
    ssize_t size;

    if (port == 1026) {
        if (read(socket, &bytes, sizeof bytes) != sizeof bytes)
            return;
        for (; bytes; bytes -= (uint64_t)size) {
            size = bytes < PIECE ? (ssize_t)bytes : PIECE;
            if (send_all(socket, piece, (size_t)size) < 0)
                return;
        }
        return;
    }
    while ((size = read(socket, piece, PIECE)) > 0) {
        bytes += (uint64_t)size;
        if (port == 1024 && send_all(socket, piece, (size_t)size) < 0)
            return;
    }
    if (port == 1025)
        send_all(socket, (char *)&bytes, sizeof bytes);
}

static void *served(void *argument)
{
    struct end *end = argument;
    char *piece = calloc(1, PIECE);

    serve(end->socket, end->port, piece);
    close(end->socket);
    free(piece);
    free(end);
    return NULL;
}

static void *accepting(void *argument)
{
    struct end *listener = argument;
    int on = 1;

    for (;;) {
        pthread_t thread;
        int socket = accept(listener->socket, NULL, NULL);
        if (socket < 0)
            continue;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_create(&thread, NULL, served, an_end(socket, listener->port));
        pthread_detach(thread);
    }
    return NULL;
}

static void listen_on(int socket, const void *address, socklen_t size, int port)
{
    pthread_t thread;

    if (bind(socket, address, size) < 0 || listen(socket, 16) < 0) {
        perror("listen");
        return;
    }
    pthread_create(&thread, NULL, accepting, an_end(socket, port));
}

int main(int count, char **arguments)
{
    /* A reader that does not interrupt the driver at each packet, as bulk readers should be. */
    struct sched_param none = {0};
    uint64_t window = WINDOW;

    if (count > 1 && arguments[1][0] == 'b' && sched_setscheduler(0, SCHED_BATCH, &none) < 0)
        perror("sched_setscheduler");
    for (int port = 1024; port <= 1026; port++) {
        struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = (unsigned)port};
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int socket_vm = socket(AF_VSOCK, SOCK_STREAM, 0);

        setsockopt(socket_vm, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &window, sizeof window);
        setsockopt(socket_vm, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &window, sizeof window);
        listen_on(socket_vm, &vm, sizeof vm, port);
        listen_on(socket(AF_INET, SOCK_STREAM, 0), &in, sizeof in, port);
    }
    puts("serving");
    for (;;)
        pause();
}
