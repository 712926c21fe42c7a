/*
 * A QEMU TCG plugin: which blocks of instructions a region of the guest's program executes, and
 * how often.
 *
 * The guest marks a region by a system call that no kernel has: syscall(0x7A70, 1, tag) begins
 * it, syscall(0x7A70, 2, tag) ends it. At its end the file PREFIX.PID.TAG is written, text:
 *
 *     block ADDRESS COUNT WORDS       hexadecimal, decimal, eight hexadecimal digits a word
 *     data LOADS STORES               only with cache=on: accesses to memory
 *     cache LEVEL ACCESSES MISSES     only with cache=on, once a level
 *     clock NANOSECONDS COUNT         only with clock=on: the guest read its clock (CLOCK_MONOTONIC
 *                                     by this process, instructions since the region began)
 *     end INSTRUCTIONS                their sum; a file without this line was cut short
 *
 * Arguments: out=PREFIX, cache=on, l1=KIB:WAYS, l2=KIB:WAYS, clock=on. Plugin interface 1 (QEMU 7)
 * and 2 or later (QEMU 9 and 10).
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

#define MARK 0x7A70          /* "zp"; Linux numbers its calls below 1024 */
#define CLOCK_GETTIME 113    /* of aarch64 */
#define BUCKETS (1u << 16)
#define LINE 64              /* bytes of a cache line */
#define MOST_READINGS (1u << 20)

#if QEMU_PLUGIN_VERSION >= 2
typedef qemu_plugin_u64 counter;
static counter new_counter(void)
{
    return qemu_plugin_scoreboard_u64(qemu_plugin_scoreboard_new(sizeof(uint64_t)));
}
static uint64_t read_counter(const counter *c) { return qemu_plugin_u64_sum(*c); }
static void count_execution(struct qemu_plugin_tb *tb, counter *c, uint64_t by)
{
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, *c, by);
}
static uint32_t word_of(const struct qemu_plugin_insn *instruction)
{
    uint32_t word = 0;
    qemu_plugin_insn_data(instruction, &word, sizeof word);
    return word;
}
#else
typedef uint64_t counter;
static counter new_counter(void) { return 0; }
static uint64_t read_counter(const counter *c) { return *c; }
static void count_execution(struct qemu_plugin_tb *tb, counter *c, uint64_t by)
{
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, c, by);
}
static uint32_t word_of(const struct qemu_plugin_insn *instruction)
{
    uint32_t word;
    memcpy(&word, qemu_plugin_insn_data(instruction), sizeof word);
    return word;
}
#endif

/* One translated block. QEMU may translate the same one again; it keeps its counter. */
struct block {
    struct block *next;
    uint64_t address;
    counter executions;
    uint64_t before; /* executions until the region began */
    size_t length;
    uint32_t words[];
};

/* Set-associative, the least recently used line goes, a store brings its line in. */
struct cache {
    uint64_t sets, ways;
    uint64_t *line, *used;
    uint64_t clock, accesses, misses;
};

static struct block *blocks[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char prefix[3072];
static int with_cache, with_clock;
static volatile int inside; /* a region */
static volatile unsigned int region_cpu; /* the thread that began it */
static struct cache levels[2];
static uint64_t loads, stores;
static counter instructions;
static uint64_t instructions_before;
static struct reading { uint64_t ns, instructions; } *readings;
static size_t reading_count;

static uint64_t since_begin(void) { return read_counter(&instructions) - instructions_before; }

/* KIB:WAYS; 0 where the text is no such pair. */
static int set_up_cache(struct cache *cache, const char *text)
{
    uint64_t kib, ways;
    if (sscanf(text, "%" SCNu64 ":%" SCNu64, &kib, &ways) != 2 || !kib || !ways) return 0;
    cache->ways = ways;
    cache->sets = kib * 1024 / LINE / ways;
    if (!cache->sets) return 0;
    cache->line = calloc(cache->sets * ways, sizeof *cache->line);
    cache->used = calloc(cache->sets * ways, sizeof *cache->used);
    return cache->line && cache->used;
}

static int hit(struct cache *cache, uint64_t line)
{
    size_t first = (line % cache->sets) * cache->ways, oldest = first;
    cache->accesses++;
    cache->clock++;
    for (size_t way = first; way < first + cache->ways; way++) {
        if (cache->used[way] && cache->line[way] == line) {
            cache->used[way] = cache->clock;
            return 1;
        }
        if (cache->used[way] < cache->used[oldest]) oldest = way;
    }
    cache->misses++;
    cache->line[oldest] = line;
    cache->used[oldest] = cache->clock;
    return 0;
}

/* In regions alone, or the start of the program would take minutes; a region finds in the caches
 * what the one before has left there. */
static void on_access(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t address, void *unused)
{
    (void)unused;
    if (!inside || cpu != region_cpu) return;
    uint64_t last = address + (1u << qemu_plugin_mem_size_shift(info)) - 1;
    if (qemu_plugin_mem_is_store(info)) stores++;
    else loads++;
    for (uint64_t line = address / LINE; line <= last / LINE; line++)
        if (!hit(&levels[0], line)) hit(&levels[1], line);
}

static struct block *block_of(const struct qemu_plugin_tb *tb)
{
    size_t length = qemu_plugin_tb_n_insns(tb);
    uint64_t address = qemu_plugin_tb_vaddr(tb);
    struct block *made = calloc(1, sizeof *made + length * sizeof *made->words);
    if (!made) abort();
    made->address = address;
    made->length = length;
    for (size_t i = 0; i < length; i++) made->words[i] = word_of(qemu_plugin_tb_get_insn(tb, i));
    struct block **bucket = &blocks[(address >> 2) % BUCKETS];
    for (struct block *found = *bucket; found; found = found->next) {
        if (found->address == address && found->length == length &&
            !memcmp(found->words, made->words, length * sizeof *made->words)) {
            free(made);
            return found;
        }
    }
    made->executions = new_counter();
    made->next = *bucket;
    return *bucket = made;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    pthread_mutex_lock(&lock);
    struct block *block = block_of(tb);
    pthread_mutex_unlock(&lock);
    count_execution(tb, &block->executions, 1);
    if (with_clock) count_execution(tb, &instructions, block->length);
    if (!with_cache) return;
    for (size_t i = 0; i < block->length; i++)
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_access,
                                         QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
}

static void begin_region(unsigned int cpu)
{
    region_cpu = cpu;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++)
        for (struct block *block = blocks[bucket]; block; block = block->next)
            block->before = read_counter(&block->executions);
    for (int level = 0; level < 2; level++) levels[level].accesses = levels[level].misses = 0;
    loads = stores = reading_count = 0;
    instructions_before = read_counter(&instructions);
    inside = 1;
}

static void write_region(FILE *file)
{
    uint64_t total = 0;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++)
        for (struct block *block = blocks[bucket]; block; block = block->next) {
            uint64_t count = read_counter(&block->executions) - block->before;
            if (!count) continue;
            total += count * block->length;
            fprintf(file, "block %" PRIx64 " %" PRIu64 " ", block->address, count);
            for (size_t i = 0; i < block->length; i++) fprintf(file, "%08" PRIx32, block->words[i]);
            fputc('\n', file);
        }
    if (with_cache) {
        fprintf(file, "data %" PRIu64 " %" PRIu64 "\n", loads, stores);
        for (int level = 0; level < 2; level++)
            fprintf(file, "cache %d %" PRIu64 " %" PRIu64 "\n", level + 1, levels[level].accesses,
                    levels[level].misses);
    }
    for (size_t i = 0; i < reading_count; i++)
        fprintf(file, "clock %" PRIu64 " %" PRIu64 "\n", readings[i].ns, readings[i].instructions);
    fprintf(file, "end %" PRIu64 "\n", total);
}

static void end_region(uint64_t tag)
{
    char path[sizeof prefix + 64];
    inside = 0;
    snprintf(path, sizeof path, "%s.%d.%" PRIu64, prefix, (int)getpid(), tag);
    FILE *file = fopen(path, "w");
    if (!file) {
        fprintf(stderr, "atpn-regions: cannot write %s: %s\n", path, strerror(errno));
        return;
    }
    write_region(file);
    fclose(file);
}

static void on_clock(void)
{
    struct timespec now;
    if (!inside || reading_count == MOST_READINGS) return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    readings[reading_count].ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    readings[reading_count++].instructions = since_begin();
}

static void on_syscall(qemu_plugin_id_t id, unsigned int cpu, int64_t number, uint64_t what,
                       uint64_t tag, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6,
                       uint64_t a7, uint64_t a8)
{
    (void)id, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != MARK && !(with_clock && number == CLOCK_GETTIME)) return;
    pthread_mutex_lock(&lock);
    if (number == CLOCK_GETTIME) on_clock();
    else if (what == 1) begin_region(cpu);
    else if (what == 2 && inside) end_region(tag);
    pthread_mutex_unlock(&lock);
}

/* Take one NAME=VALUE; 0 where it is none of ours. */
static int take(const char *argument)
{
    if (!strncmp(argument, "out=", 4))
        return snprintf(prefix, sizeof prefix, "%s", argument + 4) < (int)sizeof prefix;
    if (!strcmp(argument, "cache=on")) return with_cache = 1;
    if (!strcmp(argument, "clock=on")) return with_clock = 1;
    if (!strncmp(argument, "l1=", 3)) return set_up_cache(&levels[0], argument + 3);
    if (!strncmp(argument, "l2=", 3)) return set_up_cache(&levels[1], argument + 3);
    return 0;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                           char **argv)
{
    if (strcmp(info->target_name, "aarch64")) {
        fprintf(stderr, "atpn-regions: counts aarch64, not %s\n", info->target_name);
        return -1;
    }
    for (int i = 0; i < argc; i++)
        if (!take(argv[i])) {
            fprintf(stderr, "atpn-regions: unknown argument %s\n", argv[i]);
            return -1;
        }
    if (!prefix[0] || (with_cache && !(levels[0].sets && levels[1].sets))) {
        fprintf(stderr, "atpn-regions: needs out=PREFIX, and l1= and l2= with cache=on\n");
        return -1;
    }
    if (with_clock && !(readings = calloc(MOST_READINGS, sizeof *readings))) return -1;
    instructions = new_counter();
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    return 0;
}
