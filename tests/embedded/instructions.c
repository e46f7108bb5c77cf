// SPDX-License-Identifier: Apache-2.0
// A plugin of QEMU that counts instructions: whenever the function `mark` is entered, it prints how many were
// executed since it was last. QEMU's plugin API of version 1, of which Debian has no header:
// https://www.qemu.org/docs/master/devel/tcg-plugins.html
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { inline_add_u64 = 0, no_registers = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t plugin,
                                           void (*translated)(uint64_t, struct qemu_plugin_tb*));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb*, size_t index);
const char* qemu_plugin_insn_symbol(const struct qemu_plugin_insn*);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn*, int operation, void* counter,
                                                uint64_t operand);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn*, void (*executed)(unsigned, void*),
                                            int flags, void*);

int qemu_plugin_version = 1;

static uint64_t count;

static void marked(unsigned cpu, void* unused) {
  (void)cpu;
  (void)unused;
  fprintf(stderr, "%" PRIu64 "\n", count);
  count = 0;
}

static void translated(uint64_t plugin, struct qemu_plugin_tb* block) {
  (void)plugin;
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
    struct qemu_plugin_insn* const instruction = qemu_plugin_tb_get_insn(block, i);
    const char* const function = qemu_plugin_insn_symbol(instruction);
    if (i == 0 && function != NULL && strcmp(function, "mark") == 0)
      qemu_plugin_register_vcpu_insn_exec_cb(instruction, marked, no_registers, NULL);
    qemu_plugin_register_vcpu_insn_exec_inline(instruction, inline_add_u64, &count, 1);
  }
}

int qemu_plugin_install(uint64_t plugin, const void* system, int argc, char** argv) {
  (void)system;
  (void)argc;
  (void)argv;
  qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated);
  return 0;
}
