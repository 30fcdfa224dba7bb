"""The loop over meta-steps and the threads that share their tasks, in C++."""

DRIVER = r"""
#include <pthread.h>
#include <sched.h>
#include <string.h>

struct Context {
    void* const* now;
    void* const* next;
    void* const* given;
    char* scratch;
    long threads, step, state, begun, left;
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

// after some microseconds the core is free for others
static void wait_while(const long* what, long value) {
    for (long turns = 0; __atomic_load_n(what, __ATOMIC_ACQUIRE) == value; ++turns) {
        if (turns < 2000) pause();
        else sched_yield();
    }
}

static char* own(const Context& c, long thread) { return c.scratch + SHARED + thread * OWN; }
static number* gradient_of(const Context& c, long thread) { return (number*)(own(c, thread) + HELD + ARENA); }
static number* measures_of(const Context& c, long thread) {
    return (number*)(own(c, thread) + HELD + ARENA + GRADIENT);
}

// a thread's part of the tasks of a meta-step
static void compute(const Context& c, long thread) {
    char *held = own(c, thread), *arena = held + HELD;
    number *gradient = gradient_of(c, thread), *measures = measures_of(c, thread);
    memset(gradient, 0, SEEDS * NUMBERS * sizeof(number));
    memset(measures, 0, SEEDS * MEASURED * sizeof(number));
    const long last = (thread + 1) * SEEDS * TASKS / c.threads;
    long before = -1;
    for (long item = thread * SEEDS * TASKS / c.threads; item < last; ++item) {
        const long seed = item / TASKS;
        if (seed != before) @SHARED@
        before = seed;
        @TASK@
    }
}

struct Helper {
    Context* c;
    long thread;
};

static void* help(void* given) {
    Context& c = *((Helper*)given)->c;
    const long thread = ((Helper*)given)->thread;
    take(c.state);
    for (long round = 0;; ++round) {
        wait_while(&c.begun, round);
        if (c.step < 0) return 0;
        compute(c, thread);
        __atomic_sub_fetch(&c.left, 1, __ATOMIC_RELEASE);
    }
}

constexpr long MOST = 256;

extern "C" void run(
    long first, long last, long threads, void* const* now, void* const* next, void* const* measured,
    void* const* given, void* const* memory
) {
    char* scratch = (char*)(((unsigned long)memory[0] + 63) / 64 * 64);
    Context c = {now, next, given, scratch, threads < MOST ? threads : MOST, 0, state_of(), 0, 0};
    pthread_t started[MOST];
    Helper helpers[MOST];
    long helping = 0;
    for (; helping + 1 < c.threads; ++helping) {
        helpers[helping] = {&c, helping + 1};
        if (pthread_create(&started[helping], 0, help, &helpers[helping])) break;
    }
    c.threads = helping + 1;
    for (long step = first; step < last; ++step) {
        c.step = step;
        c.left = helping;
        if (helping) __atomic_add_fetch(&c.begun, 1, __ATOMIC_RELEASE);
        compute(c, 0);
        for (long left; (left = __atomic_load_n(&c.left, __ATOMIC_ACQUIRE)) > 0;) wait_while(&c.left, left);
        number *sum = gradient_of(c, 0), *measures = measures_of(c, 0);
        for (long thread = 1; thread <= helping; ++thread) {
            const number *more = gradient_of(c, thread), *also = measures_of(c, thread);
            for (long at = 0; at < SEEDS * NUMBERS; ++at) sum[at] += more[at];
            for (long at = 0; at < SEEDS * MEASURED; ++at) measures[at] += also[at];
        }
        memcpy((number*)measured[0] + step * SEEDS * MEASURED, measures, SEEDS * MEASURED * sizeof(number));
        @UPDATE@
        void* const* after = c.next;
        c.next = c.now;
        c.now = after;
    }
    c.step = -1;
    if (helping) __atomic_add_fetch(&c.begun, 1, __ATOMIC_RELEASE);
    for (long at = 0; at < helping; ++at) pthread_join(started[at], 0);
}
"""
"""What stands between @ are calls, with all their arguments."""
