// What Wasmtime's C API needs of C: callbacks, and a loop that gives each host call of a program to Go by returning, not by calling
// back. A program runs on a stack of its own (Wasmtime's async support), so Go is never below it, and coroutines stay coroutines.
#include <stdbool.h>
#include <stdint.h>
#include <wasm.h>
#include <wasmtime.h>

enum { MOST_PARAMETERS = 16 };

// A function of the host.
typedef struct {
  uint32_t number;
  wasmtime_valkind_t result; // meaningless if there is none
} host_function;

// One life of a machine.
typedef struct {
  wasmtime_store_t *store;
  wasmtime_context_t *context;
  wasmtime_instance_t instance;
  wasmtime_memory_t memory;
  wasmtime_func_t start;
  wasmtime_call_future_t *future; // what runs
  wasm_trap_t *trap;
  wasmtime_error_t *error;

  // The host call that the program waits in.
  bool waits;
  uint32_t number;
  wasmtime_val_t *result; // NULL if it has none
  wasmtime_valkind_t result_kind;
  uint64_t stack[MOST_PARAMETERS]; // arguments; the result comes in stack[0]
  uint8_t *memory_data;
  size_t memory_size;
} life;

wasm_engine_t *new_engine(void);
wasmtime_error_t *define(wasmtime_linker_t *linker, const char *module, const char *name, const char *params, const char *results, uint32_t number);

// life_begin makes an instance that is about to run _start; false: l->trap or l->error says why not. life_end frees it, wherever it is.
bool life_begin(life *l, wasm_engine_t *engine, const wasmtime_linker_t *linker, const wasmtime_module_t *module, int64_t memory_limit);
void life_end(life *l);

// life_run lets the program run to its next host call: true. False: it has ended, by a trap or error if there is one.
bool life_run(life *l);
