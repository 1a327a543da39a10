/* formats/pickle.c - the machine: bytes, opcodes, values, stack and memo. See pickle.h. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "formats/pickle_int.h"
#include "base/ban.h"

#define VALUES_AT_ONCE 1024

/* ---- failing ---- */

maas_status pk_fail(pk_vm *vm, maas_status st, const char *fmt, ...)
{
    char words[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    return maas_fail(vm->err, st, "pickle, byte %lld: %s", (long long)(vm->at - vm->file.p), words);
}

maas_status pk_fail_memory(pk_vm *vm)
{
    return pk_fail(vm, MAAS_E_NOMEM,
                   "the values need more memory than is granted (twice the file and 64 MiB)");
}

/* ---- memory ---- */

static bool spend(pk_vm *vm, size_t size)
{
    if (size > vm->limit - vm->spent)
        return false;
    vm->spent += size;
    return true;
}

void *pk_alloc(pk_vm *vm, size_t size)
{
    return spend(vm, size) ? maas_arena_alloc(vm->arena, size) : NULL;
}

/* *array (of pointers or marks) gets room for one more. The old place is lost to the arena: in sum
 * no more than the array itself. */
static bool stack_room(pk_vm *vm, void *array, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return true;
    const uint32_t want = *cap ? *cap * 2 : 256;
    void *old, *bigger;
    memcpy(&old, array, sizeof old);
    if (n >= MAAS_MAX_PICKLE_STACK || !spend(vm, (size_t)want * size) ||
        !(bigger = maas_arena_array(&vm->temp, want, size)))
        return false;
    if (n)
        memcpy(bigger, old, (size_t)n * size);
    memcpy(array, &bigger, sizeof bigger);
    *cap = want;
    return true;
}

/* ---- bytes ---- */

maas_status pk_take(pk_vm *vm, uint64_t n, maas_span *out)
{
    const uint8_t *end = vm->frame_end ? vm->frame_end : vm->end;
    if (n > (uint64_t)(end - vm->at))
        return pk_fail(vm, MAAS_E_FORMAT, "%llu bytes are announced, the %s has %lld",
                       (unsigned long long)n, vm->frame_end ? "frame" : "file",
                       (long long)(end - vm->at));
    *out = maas_span_of(vm->at, (size_t)n);
    vm->at += n;
    return MAAS_OK;
}

/* ---- values ---- */

maas_status pk_new(pk_vm *vm, maas_pk_kind kind, maas_pk **out)
{
    if (!vm->n_chunk) {
        if (vm->n_values >= MAAS_MAX_PICKLE_VALUES)
            return pk_fail(vm, MAAS_E_TOO_LARGE, "more than %u values", MAAS_MAX_PICKLE_VALUES);
        if (!(vm->chunk = pk_alloc(vm, VALUES_AT_ONCE * sizeof *vm->chunk)))
            return pk_fail_memory(vm);
        vm->n_chunk = VALUES_AT_ONCE;
        vm->n_values += VALUES_AT_ONCE;
    }
    *out = vm->chunk++;
    vm->n_chunk--;
    (*out)->kind = kind;
    return MAAS_OK;
}

maas_status pk_new_text(pk_vm *vm, maas_pk_kind kind, maas_span text, maas_pk **out)
{
    MAAS_TRY(pk_new(vm, kind, out));
    (*out)->n = text.n & PK_MAX_N;
    (*out)->u.text = (const char *)text.p;
    return MAAS_OK;
}

/* Items for which there is room behind a list of n: a power of two, nothing for an empty one. */
static uint64_t room_of(uint64_t n)
{
    uint64_t room = n ? 4 : 0;
    while (room < n)
        room *= 2;
    return room;
}

static uint64_t slots(const maas_pk *list)
{
    return list->kind == MAAS_PK_DICT ? (uint64_t)list->n * 2 : list->n;
}

/* n: values, in a DICT keys and values */
static maas_status add_slots(pk_vm *vm, maas_pk *list, maas_pk *const *items, uint64_t n)
{
    const uint64_t have = slots(list), room = room_of(have + n);
    if (room > room_of(have)) {
        maas_pk **bigger = room < SIZE_MAX / sizeof *bigger
                               ? pk_alloc(vm, (size_t)room * sizeof *bigger)
                               : NULL;
        if (!bigger)
            return pk_fail_memory(vm);
        if (have)
            memcpy(bigger, list->u.items, have * sizeof *bigger);
        list->u.items = bigger;
    }
    if (n)
        memcpy(list->u.items + have, items, n * sizeof *items);
    list->n = (list->n + (list->kind == MAAS_PK_DICT ? n / 2 : n)) & PK_MAX_N;
    return MAAS_OK;
}

maas_status pk_add_items(pk_vm *vm, maas_pk *list, maas_pk *const *items, uint64_t n)
{
    return add_slots(vm, list, items, list->kind == MAAS_PK_DICT ? n * 2 : n);
}

maas_status pk_new_list(pk_vm *vm, maas_pk_kind kind, maas_pk *const *items, uint64_t n,
                        maas_pk **out)
{
    MAAS_TRY(pk_new(vm, kind, out));
    return pk_add_items(vm, *out, items, n);
}

/* ---- stack ---- */

maas_status pk_push(pk_vm *vm, maas_pk *v)
{
    pk_context *c = &vm->now;
    if (!stack_room(vm, &c->stack, c->n_stack, &c->cap_stack, sizeof *c->stack))
        return pk_fail(vm, MAAS_E_TOO_LARGE, "the stack is too high");
    c->stack[c->n_stack++] = v;
    return MAAS_OK;
}

static maas_status below_mark(pk_vm *vm)
{
    return pk_fail(vm, MAAS_E_FORMAT, "the stack is empty where a value is needed");
}

maas_status pk_top(pk_vm *vm, maas_pk **out)
{
    const pk_context *c = &vm->now;
    if (c->n_stack == (c->n_marks ? c->marks[c->n_marks - 1] : 0))
        return below_mark(vm);
    *out = c->stack[c->n_stack - 1];
    return MAAS_OK;
}

maas_status pk_pop(pk_vm *vm, maas_pk **out)
{
    MAAS_TRY(pk_top(vm, out));
    vm->now.n_stack--;
    return MAAS_OK;
}

maas_status pk_mark(pk_vm *vm)
{
    pk_context *c = &vm->now;
    if (!stack_room(vm, &c->marks, c->n_marks, &c->cap_marks, sizeof *c->marks))
        return pk_fail(vm, MAAS_E_TOO_LARGE, "too many marks");
    c->marks[c->n_marks++] = c->n_stack;
    return MAAS_OK;
}

maas_status pk_pop_mark(pk_vm *vm, maas_pk ***out_items, uint32_t *out_n)
{
    pk_context *c = &vm->now;
    if (!c->n_marks)
        return pk_fail(vm, MAAS_E_FORMAT, "a mark is needed, and there is none");
    const uint32_t at = c->marks[--c->n_marks];
    *out_items = c->stack + at;
    *out_n = c->n_stack - at;
    c->n_stack = at;
    return MAAS_OK;
}

/* ---- memo: dense, as every pickler writes it; Python 2 counts from 1 ---- */

static bool memo_room(pk_vm *vm, uint32_t number)
{
    pk_context *c = &vm->now;
    const size_t n_chunks = MAAS_MAX_PICKLE_MEMO / PK_MEMO_CHUNK + 1, at = number / PK_MEMO_CHUNK;
    if (!c->memo && (!spend(vm, n_chunks * sizeof *c->memo) ||
                     !(c->memo = maas_arena_array(&vm->temp, n_chunks, sizeof *c->memo))))
        return false;
    return c->memo[at] ||
           (spend(vm, PK_MEMO_CHUNK * sizeof **c->memo) &&
            (c->memo[at] = maas_arena_array(&vm->temp, PK_MEMO_CHUNK, sizeof **c->memo)));
}

maas_status pk_memo_put(pk_vm *vm, uint64_t number)
{
    pk_context *c = &vm->now;
    maas_pk *v;
    MAAS_TRY(pk_top(vm, &v));
    if (number > (uint64_t)c->n_memo + 1 || number >= MAAS_MAX_PICKLE_MEMO)
        return pk_fail(vm, MAAS_E_FORMAT, "memo entry %llu is set, the next one is %u",
                       (unsigned long long)number, c->n_memo);
    if (!memo_room(vm, (uint32_t)number))
        return pk_fail_memory(vm);
    c->memo[number / PK_MEMO_CHUNK][number % PK_MEMO_CHUNK] = v;
    if (number >= c->n_memo)
        c->n_memo = (uint32_t)number + 1;
    return MAAS_OK;
}

maas_status pk_memo_get(pk_vm *vm, uint64_t number)
{
    const pk_context *c = &vm->now;
    maas_pk *v = number < c->n_memo ? c->memo[number / PK_MEMO_CHUNK][number % PK_MEMO_CHUNK]
                                    : NULL;
    if (!v)
        return pk_fail(vm, MAAS_E_FORMAT, "memo entry %llu is read before it is set",
                       (unsigned long long)number);
    return pk_push(vm, v);
}

/* ---- the loop ---- */

maas_status pk_begin_nested(pk_vm *vm, maas_pk *waits)
{
    vm->outer = vm->now;
    vm->now = (pk_context){.waits = waits};
    vm->nested = true;
    return MAAS_OK;
}

/* STOP: one value is left. The result of a nested pickle takes the place of what waits for it. */
static maas_status stop(pk_vm *vm)
{
    const pk_context *c = &vm->now;
    if (c->n_marks || c->n_stack != 1)
        return pk_fail(vm, MAAS_E_FORMAT, "%u values and %u marks are left at the end", c->n_stack,
                       c->n_marks);
    if (vm->frame_end && vm->frame_end != vm->at)
        return pk_fail(vm, MAAS_E_FORMAT, "the pickle ends inside a frame");
    vm->frame_end = NULL;
    vm->done = !vm->nested;
    if (!vm->nested)
        return MAAS_OK;
    if (c->stack[0]->kind != MAAS_PK_ARRAY)
        return pk_fail(vm, MAAS_E_FORMAT, "joblib announced an array, its pickle holds none");
    *c->waits = *c->stack[0];
    vm->now = vm->outer;
    vm->nested = false;
    return MAAS_OK;
}

static maas_status step(pk_vm *vm)
{
    maas_span code;
    if (vm->frame_end == vm->at)
        vm->frame_end = NULL;
    if (vm->at == vm->end)
        return pk_fail(vm, MAAS_E_FORMAT, "the file ends in the middle of the pickle");
    MAAS_TRY(pk_take(vm, 1, &code));
    if (code.p[0] == '.')
        return stop(vm);
    const pk_op *op = &pk_ops[code.p[0]];
    if (op->run)
        return op->run(vm);
    return pk_fail(vm, op->name ? MAAS_E_UNSUPPORTED : MAAS_E_FORMAT,
                   op->name ? PK_REFUSED : "%s0x%02x is no opcode", op->name ? op->name : "",
                   code.p[0]);
}

static maas_status run(pk_vm *vm)
{
    for (uint32_t n = 0; !vm->done; n++) {
        if (n >= MAAS_MAX_PICKLE_OPS)
            return pk_fail(vm, MAAS_E_TOO_LARGE, "more than %u opcodes", MAAS_MAX_PICKLE_OPS);
        MAAS_TRY(step(vm));
    }
    if (vm->at != vm->end)
        return pk_fail(vm, MAAS_E_FORMAT, "%lld bytes follow the end of the pickle",
                       (long long)(vm->end - vm->at));
    return MAAS_OK;
}

static maas_status make_fixed(pk_vm *vm)
{
    vm->fixed = pk_alloc(vm, (PK_ZERO + PK_SMALL_INTS) * sizeof *vm->fixed);
    if (!vm->fixed)
        return pk_fail_memory(vm);
    vm->fixed[PK_FALSE].kind = vm->fixed[PK_TRUE].kind = MAAS_PK_BOOL;
    vm->fixed[PK_TRUE].u.b = true;
    for (int i = 0; i < PK_SMALL_INTS; i++) {
        vm->fixed[PK_ZERO + i].kind = MAAS_PK_INT;
        vm->fixed[PK_ZERO + i].u.i = i;
    }
    return MAAS_OK;
}

static maas_status read_unpacked(maas_span file, const char *const *names, maas_budget *budget,
                                 maas_pickle *out, maas_err *err)
{
    pk_vm vm = {.file = file,
                .at = file.p,
                .end = file.p + file.n,
                .arena = &out->arena,
                .err = err,
                .names = names,
                .limit = MAAS_PICKLE_SLACK};
    if (file.n <= (SIZE_MAX - MAAS_PICKLE_SLACK) / 2)
        vm.limit += 2 * file.n;
    maas_arena_init(&vm.temp, budget);
    maas_status st = make_fixed(&vm);
    if (st == MAAS_OK)
        st = run(&vm);
    if (st == MAAS_OK)
        out->root = vm.now.stack[0];
    maas_arena_reset(&vm.temp);
    return st;
}

/* joblib before 0.10 compressed under a header of its own: "ZF0x" and a length. */
static bool is_old_joblib(maas_span head)
{
    return head.n >= 4 && memcmp(head.p, "ZF0x", 4) == 0;
}

maas_status maas_pickle_read(maas_span file, maas_budget *budget, maas_pickle *out, maas_err *err)
{
    *out = (maas_pickle){0};
    maas_arena_init(&out->arena, budget);
    maas_span plain = file;
    maas_status st = pk_is_packed(file) ? pk_unpack(file, &out->arena, &plain, err) : MAAS_OK;
    if (st == MAAS_OK && is_old_joblib(plain))
        st = maas_fail(err, MAAS_E_UNSUPPORTED,
                       "a file of joblib 0.9 or older; load and save it again");
    if (st == MAAS_OK && (maas_pickle_probe(plain) == 0 || pk_is_packed(plain)))
        st = maas_fail(err, MAAS_E_FORMAT, "this is no pickle");
    if (st == MAAS_OK)
        st = read_unpacked(plain, NULL, budget, out, err);
    if (st != MAAS_OK)
        maas_pickle_reset(out);
    return st;
}

maas_status maas_pickle_read_as(maas_span file, const char *const *names, maas_budget *budget,
                                maas_pickle *out, maas_err *err)
{
    *out = (maas_pickle){0};
    maas_arena_init(&out->arena, budget);
    const maas_status st = read_unpacked(file, names, budget, out, err);
    if (st != MAAS_OK)
        maas_pickle_reset(out);
    return st;
}

void maas_pickle_reset(maas_pickle *p)
{
    maas_arena_reset(&p->arena);
    p->root = NULL;
}

/* A line that could be a name: letters, digits, '_' and '.'. */
static bool name_line(maas_span *s)
{
    size_t n = 0;
    while (n < s->n && (isalnum(s->p[n]) || s->p[n] == '_' || s->p[n] == '.'))
        n++;
    const bool ok = n > 0 && n < s->n && s->p[n] == '\n';
    maas_span_skip(s, ok ? n + 1 : 0);
    return ok;
}

/* PROTO is certain enough. Protocols 0 and 1 have no header: an object begins with two names. */
int maas_pickle_probe(maas_span head)
{
    maas_span rest = head;
    uint8_t first;
    if (head.n >= 2 && head.p[0] == 0x80 && head.p[1] <= 5)
        return 95;
    if (maas_span_u8(&rest, &first) && first == 'c' && name_line(&rest) && name_line(&rest))
        return 70;
    return pk_is_packed(head) || is_old_joblib(head) ? 30 : 0;
}
