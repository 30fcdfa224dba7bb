"""The loop over meta-steps and the threads that share their tasks, in C++."""

DRIVER = r"""
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

struct Context {
    void* const* now;
    void* const* next;
    void* const* given;
    char* scratch;
    void* totals;
    int (*add)();
    long step, state, begun, taken, done;
};

// how numbers too small for their format are treated is each thread's own affair
#if defined(__x86_64__)
static long state_of() { return __builtin_ia32_stmxcsr(); }
static void take(long state) { __builtin_ia32_ldmxcsr(state); }
static void pause() { __builtin_ia32_pause(); }
#elif defined(__aarch64__)
static long state_of() { long state; asm volatile("mrs %0, fpcr" : "=r"(state)); return state; }
static void take(long state) { asm volatile("msr fpcr, %0" : : "r"(state)); }
static void pause() { asm volatile("yield"); }
#else
static long state_of() { return 0; }
static void take(long) {}
static void pause() {}
#endif

// Registers that nothing here sets are the same in every call: else a damaged program that reads one could be right
// when it is tried, and wrong later.
#if defined(__AVX512F__)
static void forget() {
    asm volatile(
        "kxorw %%k1, %%k1, %%k1; kxorw %%k2, %%k2, %%k2; kxorw %%k3, %%k3, %%k3; kxorw %%k4, %%k4, %%k4;"
        "kxorw %%k5, %%k5, %%k5; kxorw %%k6, %%k6, %%k6; kxorw %%k7, %%k7, %%k7"
        : : : "k1", "k2", "k3", "k4", "k5", "k6", "k7"
    );
}
#else
static void forget() {}
#endif

// a core on which nothing is to be done is free for others: for a moment after some microseconds, later for longer
static void rest(long turns) {
    constexpr timespec A_WHILE = {0, 50000};
    if (turns < 2000) pause();
    else if (turns < 4000) sched_yield();
    else nanosleep(&A_WHILE, 0);
}

static long nanoseconds() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

static char* own(const Context& c, long thread) { return c.scratch + SHARED + thread * OWN; }
static number* gradient_of(const Context& c, long part) { return (number*)(c.scratch + SUMS + part * PART); }
static number* measures_of(const Context& c, long part) { return gradient_of(c, part) + NUMBERS; }
static long first_of(long part) { return part * SEEDS * TASKS / PARTS; }
static long seed_of(long part) { return first_of(part) / TASKS; }

// the tasks of a part of a meta-step, one after another; `before` is of which seed and meta-step they shared last
static void compute(const Context& c, long thread, long part, long* before) {
    char *held = own(c, thread), *arena = held + HELD;
    memset(gradient_of(c, part), 0, PART);
    for (long item = first_of(part); item < first_of(part + 1); ++item) {
        const long seed = seed_of(part);
        number *gradient = gradient_of(c, part), *measures = measures_of(c, part);
        if (*before != c.step * SEEDS + seed) @SHARED@
        *before = c.step * SEEDS + seed;
        @TASK@
    }
}

// parts that nobody else has taken, until there are no more
static void take_part(Context& c, long thread) {
    forget();
    long before = -1;
    for (long part; (part = __atomic_fetch_add(&c.taken, 1, __ATOMIC_ACQ_REL)) < PARTS;) {
        compute(c, thread, part, &before);
        __atomic_add_fetch(&c.done, 1, __ATOMIC_RELEASE);
    }
}

struct Helper {
    Context* c;
    long thread;
};

static void* help(void* given) {
    Context& c = *((Helper*)given)->c;
    take(c.state);
    for (long round = 0;;) {
        long begun, turns = 0;
        while ((begun = __atomic_load_n(&c.begun, __ATOMIC_ACQUIRE)) == round) rest(turns++);
        if (begun < 0) return 0;
        round = begun;
        take_part(c, ((Helper*)given)->thread);
    }
}

// what other workers have of a meta-step is added, to each seed's gradient and measures; false where that fails
static bool add(Context& c, number* sum, number* measures) {
    number* row = (number*)c.totals;
    for (long seed = 0; seed < SEEDS; ++seed, row += NUMBERS + MEASURED) {
        memcpy(row, sum + seed * NUMBERS, NUMBERS * sizeof(number));
        memcpy(row + NUMBERS, measures + seed * MEASURED, MEASURED * sizeof(number));
    }
    if (c.add()) return false;
    row = (number*)c.totals;
    for (long seed = 0; seed < SEEDS; ++seed, row += NUMBERS + MEASURED) {
        memcpy(sum + seed * NUMBERS, row, NUMBERS * sizeof(number));
        memcpy(measures + seed * MEASURED, row + NUMBERS, MEASURED * sizeof(number));
    }
    forget();
    return true;
}

// a meta-step, with or without helpers: the parts and the order of their sums are the same
static bool step(Context& c, bool helped, void* measured) {
    forget();
    __atomic_store_n(&c.done, 0, __ATOMIC_RELAXED);
    if (helped) {
        __atomic_store_n(&c.taken, 0, __ATOMIC_RELEASE);
        __atomic_add_fetch(&c.begun, 1, __ATOMIC_RELEASE);
        take_part(c, 0);
        for (long turns = 0; __atomic_load_n(&c.done, __ATOMIC_ACQUIRE) < PARTS; ++turns) rest(turns);
    } else {
        long before = -1;
        for (long part = 0; part < PARTS; ++part) compute(c, 0, part, &before);
    }
    number *sum = gradient_of(c, 0), *measures = (number*)measured + c.step * SEEDS * MEASURED;
    if (PARTS == 1) memcpy(measures, measures_of(c, 0), SEEDS * MEASURED * sizeof(number));
    else {
        sum = (number*)(c.scratch + TOTAL);
        memset(sum, 0, SEEDS * NUMBERS * sizeof(number));
        memset(measures, 0, SEEDS * MEASURED * sizeof(number));
        for (long part = 0; part < PARTS; ++part) {
            const number *gradient = gradient_of(c, part), *also = measures_of(c, part);
            number *to = sum + seed_of(part) * NUMBERS, *logged = measures + seed_of(part) * MEASURED;
            for (long at = 0; at < NUMBERS; ++at) to[at] += gradient[at];
            for (long at = 0; at < MEASURED; ++at) logged[at] += also[at];
        }
    }
    if (c.add && !add(c, sum, measures)) return false;
    @UPDATE@
    void* const* after = c.next;
    c.next = c.now;
    c.now = after;
    return true;
}

constexpr long MOST = 256, TRIAL = 8, CYCLE = 256;

// Of each cycle some meta-steps are made alone, some with helpers, and the rest as is faster: on cores that others use,
// waiting for a helper can take longer than its work.
extern "C" void run(
    long first, long last, long threads, void* const* now, void* const* next, void* const* measured,
    void* const* given, void* const* memory, int (*add)()
) {
    char* scratch = (char*)(((unsigned long)memory[0] + 63) / 64 * 64);
    Context c = {now, next, given, scratch, memory[1], add, 0, state_of(), 0, PARTS, 0};
    pthread_t started[MOST];
    Helper helpers[MOST];
    static __thread long turn = 0, alone = 0, together = 0;  // a cycle goes on in the next call
    long helping = 0;
    for (; helping + 1 < threads && helping + 1 < PARTS && helping < MOST; ++helping) {
        helpers[helping] = {&c, helping + 1};
        if (pthread_create(&started[helping], 0, help, &helpers[helping])) break;
    }
    for (long at = first; at < last; ++at) {
        const long before = helping ? nanoseconds() : 0;
        if (turn == 0) alone = together = 0;
        c.step = at;
        const bool helped = helping && (turn < TRIAL ? false : turn < 2 * TRIAL ? true : together < alone);
        if (!step(c, helped, measured[0])) break;
        if (helping && turn < 2 * TRIAL) (turn < TRIAL ? alone : together) += nanoseconds() - before;
        if (helping) turn = (turn + 1) % CYCLE;
    }
    __atomic_store_n(&c.begun, -1, __ATOMIC_RELEASE);
    for (long at = 0; at < helping; ++at) pthread_join(started[at], 0);
}
"""
"""What stands between @ are calls, with all their arguments."""
