#include "glue.h"

#include <stdlib.h>
#include <string.h>

enum {
  // Go's stacks are in the program's own memory, but each call of a function of Go is one of WebAssembly too, so deep recursion
  // is deep here.
  MOST_STACK = 16 << 20,
  HOST_STACK = 256 << 10, // for the host calls on top of it
};

wasm_engine_t *new_engine(void) {
  wasm_config_t *config = wasm_config_new();
  wasmtime_config_async_support_set(config, true);
  wasmtime_config_max_wasm_stack_set(config, MOST_STACK);
  wasmtime_config_async_stack_size_set(config, MOST_STACK + HOST_STACK);
  return wasm_engine_new_with_config(config); // takes the configuration
}

static bool answered(void *env) {
  life *l = env;
  if (l->waits)
    return false;
  if (l->result) {
    l->result->kind = l->result_kind;
    if (l->result_kind == WASMTIME_I64)
      l->result->of.i64 = (int64_t)l->stack[0];
    else
      l->result->of.i32 = (int32_t)(uint32_t)l->stack[0];
  }
  return true;
}

// A call begins: what it is about is kept, and the program is left waiting until Go has written the result.
static void called(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t nargs, wasmtime_val_t *results,
                   size_t nresults, wasm_trap_t **trap, wasmtime_async_continuation_t *continuation) {
  const host_function *f = env;
  life *l = wasmtime_context_get_data(wasmtime_caller_context(caller));
  for (size_t i = 0; i < nargs; i++)
    l->stack[i] = args[i].kind == WASMTIME_I64 ? (uint64_t)args[i].of.i64 : (uint64_t)(uint32_t)args[i].of.i32;
  l->number = f->number;
  l->waits = true;
  l->result = nresults ? results : NULL;
  l->result_kind = f->result;
  l->memory_data = wasmtime_memory_data(l->context, &l->memory);
  l->memory_size = wasmtime_memory_data_size(l->context, &l->memory);
  continuation->callback = answered;
  continuation->env = l;
  continuation->finalizer = NULL;
  (void)trap;
}

static wasm_valtype_t *value(char c) { return wasm_valtype_new(c == 'I' ? WASM_I64 : WASM_I32); }

static void values(wasm_valtype_vec_t *list, const char *signature) {
  wasm_valtype_vec_new_uninitialized(list, strlen(signature));
  for (size_t i = 0; signature[i]; i++)
    list->data[i] = value(signature[i]);
}

wasmtime_error_t *define(wasmtime_linker_t *linker, const char *module, const char *name, const char *params, const char *results, uint32_t number) {
  wasm_valtype_vec_t in, out;
  values(&in, params);
  values(&out, results);
  wasm_functype_t *type = wasm_functype_new(&in, &out);
  host_function *f = malloc(sizeof *f);
  f->number = number;
  f->result = results[0] == 'I' ? WASMTIME_I64 : WASMTIME_I32;
  wasmtime_error_t *error = wasmtime_linker_define_async_func(linker, module, strlen(module), name, strlen(name), type, called, f, free);
  wasm_functype_delete(type);
  return error;
}

static void drop_future(life *l) {
  if (l->future)
    wasmtime_call_future_delete(l->future);
  l->future = NULL;
}

static bool lookup(life *l, const char *name, wasmtime_extern_kind_t kind, wasmtime_extern_t *item) {
  return wasmtime_instance_export_get(l->context, &l->instance, name, strlen(name), item) && item->kind == kind;
}

bool life_begin(life *l, wasm_engine_t *engine, const wasmtime_linker_t *linker, const wasmtime_module_t *module, int64_t memory_limit) {
  memset(l, 0, sizeof *l);
  l->store = wasmtime_store_new(engine, l, NULL);
  wasmtime_store_limiter(l->store, memory_limit, -1, -1, -1, -1);
  l->context = wasmtime_store_context(l->store);
  l->future = wasmtime_linker_instantiate_async(linker, l->context, module, &l->instance, &l->trap, &l->error);
  while (!wasmtime_call_future_poll(l->future)) // Go's programs do nothing at this time
    l->waits = false;
  drop_future(l);
  if (l->trap || l->error)
    return false;
  wasmtime_extern_t memory, start;
  if (!lookup(l, "memory", WASMTIME_EXTERN_MEMORY, &memory) || !lookup(l, "_start", WASMTIME_EXTERN_FUNC, &start)) {
    l->error = wasmtime_error_new("the program exports no memory or no _start");
    return false;
  }
  l->memory = memory.of.memory;
  l->start = start.of.func; // the call goes on looking at it
  l->future = wasmtime_func_call_async(l->context, &l->start, NULL, 0, NULL, 0, &l->trap, &l->error);
  return true;
}

bool life_run(life *l) {
  l->waits = false;
  return !wasmtime_call_future_poll(l->future);
}

void life_end(life *l) {
  drop_future(l);
  if (l->trap)
    wasm_trap_delete(l->trap);
  if (l->error)
    wasmtime_error_delete(l->error);
  wasmtime_store_delete(l->store);
}
