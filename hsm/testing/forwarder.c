/* A PKCS#11 module that forwards every call to a real one, and misbehaves on command.
 *
 * Beside this library FILE.so stand FILE.so.real (the path of the real module) and FILE.so.control, a file that is
 * mapped into memory and commands each function by its place in CK_FUNCTION_LIST; see struct control.
 *
 * Every function is forwarded by one routine with eight words of arguments, as many as any PKCS#11 function has. The
 * calling conventions of 64-bit Linux pass integers and pointers in the same places whatever their number, so that
 * words which a function does not have are garbage that the real function does not look at.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long word;
typedef word (*function)(word, word, word, word, word, word, word, word);

enum { FUNCTIONS = 68, SLOTS = 64, OPEN_SESSION = 12, CLOSE_ALL = 14, SESSION_INFO = 15, LOGOUT = 19, SIGN = 43 };
enum { DEVICE_REMOVED = 0x32, GET_SLOT_LIST = 4, OK = 0, GENERAL_ERROR = 5 };

struct command {
    atomic_uint delay_us; /* each call takes this much longer */
    atomic_uint fail_value;
    atomic_int fail_times; /* calls that answer fail_value without reaching the real module; -1: all */
    atomic_int hang_times; /* calls that do not come back until `released` changes; -1: all */
    atomic_ullong calls;
};

struct control {
    atomic_uint drop_sessions; /* a change closes all sessions of all slots */
    atomic_uint log_out;       /* a change logs out, sessions stay */
    atomic_uint removed;       /* while not 0 there is no token */
    atomic_uint released;      /* a change frees the calls that hang */
    struct command commands[FUNCTIONS];
};

struct function_list {
    unsigned char version[2];
    function functions[FUNCTIONS];
};

static struct control *control;
static struct function_list *real;
static pthread_rwlock_t quiet = PTHREAD_RWLOCK_INITIALIZER; /* sessions are dropped while no call is under way */
static pthread_mutex_t dropping = PTHREAD_MUTEX_INITIALIZER;
static unsigned dropped, logged_out;
static word slots[SLOTS], last_session;
static atomic_uint slot_count;

static void pause_us(unsigned microseconds) {
    struct timespec length = {microseconds / 1000000, (long)(microseconds % 1000000) * 1000};
    while (nanosleep(&length, &length)) {
    }
}

static int take(atomic_int *times) {
    int left = atomic_load(times);
    while (left) {
        if (left < 0 || atomic_compare_exchange_weak(times, &left, left - 1)) {
            return 1;
        }
    }
    return 0;
}

static void obey(void) {
    if (dropped == atomic_load(&control->drop_sessions) && logged_out == atomic_load(&control->log_out)) {
        return;
    }
    pthread_mutex_lock(&dropping);
    pthread_rwlock_wrlock(&quiet);
    if (logged_out != atomic_load(&control->log_out)) {
        logged_out = atomic_load(&control->log_out);
        real->functions[LOGOUT](last_session, 0, 0, 0, 0, 0, 0, 0);
    }
    if (dropped != atomic_load(&control->drop_sessions)) {
        dropped = atomic_load(&control->drop_sessions);
        for (unsigned i = 0; i < slot_count; i++) {
            real->functions[CLOSE_ALL](slots[i], 0, 0, 0, 0, 0, 0, 0);
        }
    }
    pthread_rwlock_unlock(&quiet);
    pthread_mutex_unlock(&dropping);
}

static word forward(unsigned n, word a, word b, word c, word d, word e, word f, word g, word h) {
    struct command *command = &control->commands[n];
    atomic_fetch_add(&command->calls, 1);
    obey();
    /* A question for the size of a signature is answered by any library at once. */
    if (n != SIGN || d) {
        unsigned delay = atomic_load(&command->delay_us);
        if (delay) {
            pause_us(delay);
        }
        unsigned released = atomic_load(&control->released);
        if (take(&command->hang_times)) {
            while (released == atomic_load(&control->released)) {
                pause_us(1000);
            }
        }
        if (take(&command->fail_times)) {
            return atomic_load(&command->fail_value);
        }
    }
    if (atomic_load(&control->removed) && n >= OPEN_SESSION) {
        return DEVICE_REMOVED;
    }
    if (atomic_load(&control->removed) && n == GET_SLOT_LIST) {
        *(word *)c = 0;
        return OK;
    }
    pthread_rwlock_rdlock(&quiet);
    word value = real->functions[n](a, b, c, d, e, f, g, h);
    pthread_rwlock_unlock(&quiet);
    if (n == OPEN_SESSION && value == OK) {
        pthread_mutex_lock(&dropping);
        unsigned known = 0, count = slot_count;
        while (known < count && slots[known] != a) {
            known++;
        }
        if (known == count && count < SLOTS) {
            slots[count] = a;
            slot_count = count + 1;
        }
        last_session = *(word *)e;
        pthread_mutex_unlock(&dropping);
    }
    return value;
}

#define FORWARD(n)                                                                                \
    static word forward_##n(word a, word b, word c, word d, word e, word f, word g, word h) { \
        return forward(n, a, b, c, d, e, f, g, h);                                            \
    }
#define TEN(do, tens)                                                                                                \
    do(tens##0) do(tens##1) do(tens##2) do(tens##3) do(tens##4) do(tens##5) do(tens##6) do(tens##7) do(tens##8) do(tens##9)
#define ALL(do)                                                                                                      \
    do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) TEN(do, 1) TEN(do, 2) TEN(do, 3) TEN(do, 4) TEN(do, 5) \
    do(60) do(61) do(62) do(63) do(64) do(65) do(66) do(67)
ALL(FORWARD)
#define NAME(n) forward_##n,

static struct function_list list = {{2, 40}, {ALL(NAME)}};

static int beside(const char *suffix, char *path, size_t size) {
    Dl_info info;
    return dladdr((void *)&list, &info) && snprintf(path, size, "%s%s", info.dli_fname, suffix) < (int)size;
}

static word begin(void) {
    char path[4096], target[4096];
    if (!beside(".control", path, sizeof path)) {
        return GENERAL_ERROR;
    }
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) {
        return GENERAL_ERROR;
    }
    void *memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    FILE *file = beside(".real", path, sizeof path) ? fopen(path, "r") : NULL;
    if (memory == MAP_FAILED || !file) {
        return GENERAL_ERROR;
    }
    char *line = fgets(target, sizeof target, file);
    fclose(file);
    void *library = line ? dlopen(target, RTLD_NOW | RTLD_LOCAL) : NULL;
    word (*get)(struct function_list **) = library ? (word(*)(struct function_list **))dlsym(library, "C_GetFunctionList") : NULL;
    if (!get || get(&real) != OK) {
        return GENERAL_ERROR;
    }
    control = memory;
    dropped = atomic_load(&control->drop_sessions);
    logged_out = atomic_load(&control->log_out);
    return OK;
}

word C_GetFunctionList(struct function_list **answer) {
    if (!control) {
        word value = begin();
        if (value != OK) {
            return value;
        }
    }
    *answer = &list;
    return OK;
}
