/*
 * Preloaded into linux.uml on a CPU with AMX, by vm.sh.
 *
 * UML 6.1 hands the extended registers of its processes to ptrace in a buffer of 2,696 octets. With AMX the state takes
 * 11,008: reading it is cut short, which is harmless, but Linux writes it whole or not at all (EFAULT), so UML's init
 * dies: "ptrace set fp regs failed, errno = 14". Here a short write becomes a whole one: what UML knows of, and for the
 * rest what the process has.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

static long set_state(pid_t pid, const struct iovec *known)
{
    static char whole[65536];
    struct iovec all = { whole, sizeof whole };
    long failed = syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &all);

    if (failed)
        return failed;
    memcpy(whole, known->iov_base, known->iov_len < all.iov_len ? known->iov_len : all.iov_len);
    return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &all);
}

long ptrace(enum __ptrace_request request, ...)
{
    va_list arguments;
    long peeked, result;
    pid_t pid;
    void *address, *data;

    va_start(arguments, request);
    pid = va_arg(arguments, pid_t);
    address = va_arg(arguments, void *);
    data = va_arg(arguments, void *);
    va_end(arguments);
    if (request == PTRACE_SETREGSET && (long)address == NT_X86_XSTATE)
        return set_state(pid, data);
    if (request < PTRACE_PEEKTEXT || request > PTRACE_PEEKUSER)
        return syscall(SYS_ptrace, request, pid, address, data);
    result = syscall(SYS_ptrace, request, pid, address, &peeked); /* glibc's ptrace returns what it peeked */
    return result ? result : peeked;
}
