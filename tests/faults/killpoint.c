/* killpoint: run a command and do one thing at its N-th mutating system call.
 *
 *     killpoint REPORT N ACTION COMMAND [ARGUMENT...]
 *     killpoint REPORT N ACTION --attach PID GATE      the command is PID, which has called be_traced(GATE)
 *     killpoint --table                                print the counted names
 *
 * Every call that can change a file system is counted, in one global order over the command, its children and all their
 * threads. A seccomp filter stops only these calls, so the command runs at nearly its own speed; each of them waits
 * until this program lets it go, so nothing is changed behind its back. ACTION at call N (N = 0 only counts):
 *
 *     kill       SIGKILL every process before the call runs
 *     killafter  SIGKILL every process when the call has run, and let no other counted call run meanwhile
 *     err:E      the call does not run and fails with errno E
 *     err+:E     this call and every later one fail so
 *
 * REPORT gets a line `number pid name changes target` for each counted call and a last line `end CALLS HIT STATUS`,
 * where STATUS is the exit code of the command, or minus the signal that ended it. `changes` is 0 for a call that left
 * the disk as a kill would find it without that call; this is known only when N is 0.
 * Not seen: stores into shared mappings. io_uring is refused (ENOSYS), so that programs fall back to what is seen.
 * The exit code is 0, or 125 when tracing itself failed. Linux 5.3 or newer; x86_64, and aarch64 (never tried).
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "killpoint_calls.h"

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "killpoint knows x86_64 and aarch64 only"
#endif

enum { OWN_TROUBLE = 125, MOST_PROCESSES = 4096, MOST_CALLS = 65536 };

static FILE *report;
static struct { pid_t pid; const char *name; char *target; int changes; } written[MOST_CALLS];
static long wanted_point, counted, hit;
static const char *action;
static int injected_errno, inject_from_then_on;
static pid_t living[MOST_PROCESSES];
static int living_count, ending;
static pid_t awaited; /* the process whose call must come back before everything is killed */

static void fail(const char *what) {
    fprintf(stderr, "killpoint: %s: %s\n", what, strerror(errno));
    exit(OWN_TROUBLE); /* PTRACE_O_EXITKILL takes the command along */
}

/* ---- who lives: exact, so that a reused process id is never signalled ---- */

static void remember(pid_t pid) {
    for (int i = 0; i < living_count; i++)
        if (living[i] == pid) return;
    if (living_count == MOST_PROCESSES) fail("too many processes");
    living[living_count++] = pid;
}

static void forget(pid_t pid) {
    for (int i = 0; i < living_count; i++)
        if (living[i] == pid) living[i] = living[--living_count];
}

static void kill_everything(void) {
    ending = 1;
    for (int i = 0; i < living_count; i++) kill(living[i], SIGKILL);
}

/* ---- what to do with it ---- */

static void proceed(pid_t pid, int signal_number) {
    ptrace(PTRACE_CONT, pid, 0, (long)signal_number);
}

static void make_it_fail(pid_t pid, int error) {
    /* Number -1 skips the call; the return register is what the program sees. */
#if defined(__x86_64__)
    struct user_regs_struct registers;
    ptrace(PTRACE_GETREGS, pid, 0, &registers);
    registers.orig_rax = (unsigned long long)-1;
    registers.rax = (unsigned long long)-error;
    ptrace(PTRACE_SETREGS, pid, 0, &registers);
#else
    struct user_regs_struct registers;
    int no_call = -1;
    struct iovec all = {&registers, sizeof registers}, number = {&no_call, sizeof no_call};
    ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &all);
    registers.regs[0] = (unsigned long long)-error;
    ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &all);
    ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &number);
#endif
}

static void write_down(pid_t pid, const struct call *call, const uint64_t *arguments, char *target) {
    if (counted == MOST_CALLS) fail("too many calls");
    int changes = !only_syncs(call) && !opens_existing(pid, call, arguments, target);
    for (char *c = target; *c; c++)
        if ((unsigned char)*c < ' ') *c = '?';
    written[counted].pid = pid;
    written[counted].name = call->name;
    written[counted].target = strdup(target);
    written[counted++].changes = changes;
}

static void look_at_result(pid_t pid) {
    struct __ptrace_syscall_info info;
    long call = counted - 1;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) < 0) return; /* killed meanwhile: it may have run */
    while (written[call].pid != pid) call--;
    if (info.op == PTRACE_SYSCALL_INFO_EXIT && info.exit.is_error) written[call].changes = 0;
}

static int report_all(int status) {
    for (long n = 0; n < counted; n++)
        fprintf(report, "%ld %d %s %d %s\n", n + 1, written[n].pid, written[n].name, written[n].changes,
                written[n].target);
    fprintf(report, "end %ld %ld %d\n", counted, hit, status);
    return fclose(report) ? OWN_TROUBLE : 0;
}

static void act(pid_t pid) {
    hit++;
    if (!strcmp(action, "kill")) {
        kill_everything();
    } else if (!strcmp(action, "killafter")) {
        awaited = pid;
        ptrace(PTRACE_SYSCALL, pid, 0, 0L);
    } else {
        make_it_fail(pid, injected_errno);
        proceed(pid, 0);
    }
}

static void at_call(pid_t pid) {
    struct __ptrace_syscall_info info;
    char target[TARGET_BYTES];
    if (awaited) return; /* held where it is, to be killed in a moment */
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) < 0) return; /* killed meanwhile */
    for (int i = 0; i < TABLE_SIZE; i++) {
        const struct call *call = &TABLE[i];
        if (call->number != info.seccomp.nr) continue;
        if (!is_mutating(pid, call, info.seccomp.args, target)) break;
        write_down(pid, call, info.seccomp.args, target);
        if (!wanted_point) {
            ptrace(PTRACE_SYSCALL, pid, 0, 0L); /* until it comes back */
            return;
        }
        if (counted < wanted_point || (counted > wanted_point && !inject_from_then_on)) break;
        act(pid);
        return;
    }
    proceed(pid, 0);
}

static void at_stop(pid_t pid, int status) {
    int event = status >> 16, signal_number = WSTOPSIG(status);
    unsigned long former = 0;
    if (event == PTRACE_EVENT_SECCOMP) {
        at_call(pid);
    } else if (signal_number == (SIGTRAP | 0x80)) { /* a call is back */
        if (awaited) return kill_everything();
        look_at_result(pid);
        proceed(pid, 0);
    } else if (event == PTRACE_EVENT_STOP && signal_number != SIGTRAP) { /* stopped by job control: leave it so */
        ptrace(PTRACE_LISTEN, pid, 0, 0L);
    } else if (event == PTRACE_EVENT_EXEC) { /* a thread that calls exec takes over its leader's id */
        ptrace(PTRACE_GETEVENTMSG, pid, 0, &former);
        if ((pid_t)former != pid) forget((pid_t)former);
        proceed(pid, 0);
    } else {
        proceed(pid, event ? 0 : signal_number);
    }
}

static int follow(pid_t command) {
    int status, result = -SIGKILL;
    pid_t pid;
    while ((pid = waitpid(-1, &status, __WALL)) > 0) { /* until nobody is left */
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            forget(pid);
            if (pid == command) result = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
            if (pid == awaited) kill_everything();
        } else {
            remember(pid);
            if (ending) kill(pid, SIGKILL);
            else at_stop(pid, status);
        }
    }
    return result;
}

/* ---- start ---- */

static void install_filter(void) {
    struct sock_filter code[TABLE_SIZE + 8];
    int n = 0;
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS); /* 32-bit: would go unseen */
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, TABLE_SIZE + 2, 0);
    for (int i = 0; i < TABLE_SIZE; i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TABLE[i].number, TABLE_SIZE - i, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    struct sock_fprog program = {(unsigned short)n, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        fail("seccomp");
}

static void seize(pid_t pid, int gate) {
    const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                         PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, pid, 0, options)) fail("ptrace");
    if (write(gate, "", 1) != 1) fail("gate");
    close(gate);
}

static void pass(int gate) {
    char go;
    if (read(gate, &go, 1) != 1) _exit(OWN_TROUBLE); /* the tracer could not attach */
    close(gate);
    install_filter();
}

static pid_t start(char **command) {
    int gate[2];
    if (pipe2(gate, O_CLOEXEC)) fail("pipe");
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        close(gate[1]);
        pass(gate[0]);
        execvp(command[0], command);
        fail(command[0]);
    }
    close(gate[0]);
    seize(child, gate[1]);
    return child;
}

static pid_t attach(const char *pid, const char *path) {
    int gate = open(path, O_WRONLY | O_CLOEXEC); /* waits for the other side */
    if (gate < 0) fail(path);
    seize(atoi(pid), gate);
    return atoi(pid);
}

void be_traced(const char *path) {
    /* Wait until a tracer has attached itself through the named pipe; for a process that has loaded this as a library. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);           /* never left waiting when its starter is gone */
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* fails, and is not needed, where tracing is not restricted */
    int gate = open(path, O_RDONLY | O_CLOEXEC);
    if (gate < 0) fail(path);
    pass(gate);
}

static void read_action(const char *text) {
    action = text;
    inject_from_then_on = !strncmp(text, "err+:", 5);
    if (inject_from_then_on) injected_errno = atoi(text + 5);
    else if (!strncmp(text, "err:", 4)) injected_errno = atoi(text + 4);
    else if (strcmp(text, "kill") && strcmp(text, "killafter") && strcmp(text, "count")) errno = EINVAL, fail(text);
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "--table")) {
        for (int i = 0; i < TABLE_SIZE; i++) puts(TABLE[i].name);
        return 0;
    }
    if (argc < 5) errno = EINVAL, fail("usage: killpoint REPORT N ACTION COMMAND...");
    report = fopen(argv[1], "we");
    if (!report) fail(argv[1]);
    wanted_point = atol(argv[2]);
    read_action(argv[3]);
    pid_t command = argc == 7 && !strcmp(argv[4], "--attach") ? attach(argv[5], argv[6]) : start(argv + 4);
    return report_all(follow(command));
}
