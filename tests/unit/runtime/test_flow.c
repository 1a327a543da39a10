/* Control flow: rounds, captured values, lists across rounds, limits, and whose memory is whose. */
#include "maas_test.h"

#include "base/mem.h"
#include "base/sys.h"
#include "ops/build.h"
#include "runtime/plan.h"

static const int64_t D2[] = {2};

typedef struct rig {
    maas_graph *g;
    maas_builder b;
    maas_plan *plan;
    maas_exec *exec;
    maas_err err;
} rig;

static void rig_init(rig *r)
{
    *r = (rig){0};
    EXPECT_EQ(maas_graph_create("t", NULL, &r->g, &r->err), MAAS_OK);
    maas_builder_init(&r->b, r->g, &r->err);
}

static bool rig_plan(rig *r, maas_budget *budget, uint64_t steps)
{
    EXPECT_MSG(r->b.status == MAAS_OK, "%s", r->err.msg);
    maas_type types[4];
    for (uint32_t i = 0; i < r->g->n_inputs; i++)
        types[i] = maas_graph_at(r->g, r->g->inputs[i])->type;
    const maas_plan_opts o = {
        .n_threads = 2, .level = 2, .check = true, .budget = budget, .loop_steps = steps};
    bool ok = maas_plan_create(r->g, types, &o, &r->plan, &r->err) == MAAS_OK &&
              maas_exec_create(r->plan, NULL, &r->exec, &r->err) == MAAS_OK;
    EXPECT_MSG(ok, "%s", r->err.msg);
    return ok;
}

static void rig_reset(rig *r)
{
    maas_exec_destroy(r->exec);
    maas_plan_destroy(r->plan);
    maas_graph_destroy(r->g);
    EXPECT_EQ(maas_mem_live(), 0);
}

static bool run(rig *r)
{
    bool ok = maas_exec_run(r->exec, &r->err) == MAAS_OK;
    EXPECT_MSG(ok, "%s", r->err.msg);
    return ok;
}

static const float *floats(rig *r, uint32_t i)
{
    return maas_exec_output(r->exec, i)->data;
}

/* ---- bodies ---- */

/* A graph with inputs round and cond, and the builder for the rest. */
static maas_graph *body_open(maas_builder *b, rig *r)
{
    maas_graph *g = NULL;
    EXPECT_EQ(maas_graph_create("body", NULL, &g, &r->err), MAAS_OK);
    maas_builder_init(b, g, &r->err);
    maas_b_input(b, "round", MAAS_I64, 0, NULL);
    maas_b_input(b, "cond", MAAS_BOOL, 0, NULL);
    return g;
}

static maas_vid value(maas_builder *b, const char *name, maas_type t)
{
    maas_vid v = MAAS_NO_VALUE;
    if (b->status == MAAS_OK)
        b->status = maas_graph_value(b->g, name, &t, &v, b->err);
    return v;
}

static maas_vid list_input(maas_builder *b, const char *name, maas_type t)
{
    maas_vid v = MAAS_NO_VALUE;
    if (b->status == MAAS_OK)
        b->status = maas_graph_input(b->g, name, &t, &v, b->err);
    return v;
}

static maas_vid cast(maas_builder *b, maas_vid x, maas_dtype t)
{
    const maas_attr to = MAAS_A_INT("to", t);
    return maas_b_node(b, "Cast", &to, 1, &x, 1, NULL, 1);
}

/* cond stays as it is */
static void pass_cond(maas_builder *b)
{
    maas_b_output(b, "go", maas_b_op1(b, "Identity", b->g->inputs[1]));
}

static void loop(rig *r, maas_graph *body, maas_vid n, maas_vid cond, maas_vid first, maas_vid *out,
                 uint32_t n_out)
{
    const maas_attr attr = MAAS_A_GRAPH("body", body);
    const maas_vid in[] = {n, cond, first};
    maas_b_node(&r->b, "Loop", &attr, 1, in, first == MAAS_NO_VALUE ? 2 : 3, out, n_out);
}

/* y = x + 1000 w, by 1000 rounds of y += w, which comes from further out */
static void a_thousand_rounds_are_quick(void)
{
    rig r;
    maas_builder b;
    rig_init(&r);
    maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 1, D2), out[2];
    maas_b_input(&r.b, "w", MAAS_F32, 1, D2);
    maas_graph *body = body_open(&b, &r);
    pass_cond(&b);
    const maas_vid y = maas_b_op2(&b, "Add", maas_b_input(&b, "y", MAAS_F32, 1, D2),
                                  value(&b, "w", maas_type_tensor(MAAS_F32, 1, D2)));
    maas_b_output(&b, "sum", y);
    maas_b_output(&b, "twice", maas_b_op2(&b, "Add", y, y));
    EXPECT_MSG(b.status == MAAS_OK, "%s", r.err.msg);
    loop(&r, body, maas_b_i64(&r.b, 1000), MAAS_NO_VALUE, x, out, 2);
    maas_b_output(&r.b, "end", out[0]);
    maas_b_output(&r.b, "all", out[1]);
    if (rig_plan(&r, NULL, 0)) {
        const uint64_t start = maas_now_ns();
        for (int again = 0; again < 3; again++) {
            memcpy(maas_exec_input(r.exec, 0)->data, (float[]){5, 7}, 8);
            memcpy(maas_exec_input(r.exec, 1)->data, (float[]){1, 2}, 8);
            if (!run(&r))
                break;
            EXPECT_EQ(floats(&r, 0)[0], 1005);
            EXPECT_EQ(floats(&r, 0)[1], 2007);
            EXPECT_EQ(maas_exec_output(r.exec, 1)->dims[0], 1000);
            EXPECT_EQ(floats(&r, 1)[2 * 999 + 1], 4014);
            EXPECT_EQ(floats(&r, 1)[0], 12);
        }
        printf("# %.2f us a round\n", (double)(maas_now_ns() - start) / 3e6);
    }
    rig_reset(&r);
}

static void no_round_at_all_gives_what_came_and_nothing_collected(void)
{
    rig r;
    maas_builder b;
    rig_init(&r);
    maas_vid n = maas_b_input(&r.b, "n", MAAS_I64, 0, NULL), out[2];
    maas_vid c = maas_b_input(&r.b, "c", MAAS_BOOL, 0, NULL);
    maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 1, D2);
    maas_graph *body = body_open(&b, &r);
    pass_cond(&b);
    maas_b_output(&b, "y", maas_b_op1(&b, "Neg", maas_b_input(&b, "x", MAAS_F32, 1, D2)));
    maas_b_output(&b, "z", maas_b_op1(&b, "Abs", b.g->inputs[2]));
    loop(&r, body, n, c, x, out, 2);
    maas_b_output(&r.b, "end", out[0]);
    maas_b_output(&r.b, "all", out[1]);
    if (rig_plan(&r, NULL, 0))
        for (int k = 0; k < 4; k++) {
            const bool runs = k == 3;
            *(int64_t *)maas_exec_input(r.exec, 0)->data = k == 0 ? 0 : k == 1 ? -5 : 3;
            *(uint8_t *)maas_exec_input(r.exec, 1)->data = k != 2;
            memcpy(maas_exec_input(r.exec, 2)->data, (float[]){5, 7}, 8);
            EXPECT(run(&r));
            EXPECT_EQ(floats(&r, 0)[1], runs ? -7 : 7);
            EXPECT_EQ(maas_exec_output(r.exec, 1)->rank, 2);
            EXPECT_EQ(maas_exec_output(r.exec, 1)->dims[0], runs ? 3 : 0);
            EXPECT_EQ(maas_exec_output(r.exec, 1)->dims[1], 2);
        }
    rig_reset(&r);
}

static void an_endless_loop_ends_with_words(void)
{
    rig r;
    maas_builder b;
    rig_init(&r);
    maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 1, D2), out;
    maas_graph *body = body_open(&b, &r);
    pass_cond(&b);
    maas_b_output(&b, "y", maas_b_op1(&b, "Neg", maas_b_input(&b, "x", MAAS_F32, 1, D2)));
    loop(&r, body, MAAS_NO_VALUE, MAAS_NO_VALUE, x, &out, 1);
    maas_b_output(&r.b, "end", out);
    if (rig_plan(&r, NULL, 5000)) {
        EXPECT_EQ(maas_exec_run(r.exec, &r.err), MAAS_E_TOO_LARGE);
        EXPECT_MSG(strstr(r.err.msg, "Loop") && strstr(r.err.msg, "5000"), "%s", r.err.msg);
    }
    rig_reset(&r);
}

/* s = [x, 2x, 4x, ...]: each round inserts what it was given, by an If in every second round at the
 * front */
static maas_graph *insert_at(rig *r, const char *op, int64_t at)
{
    maas_builder b;
    maas_graph *g = NULL;
    EXPECT_EQ(maas_graph_create("branch", NULL, &g, &r->err), MAAS_OK);
    maas_builder_init(&b, g, &r->err);
    const maas_vid s = value(&b, "s", maas_type_sequence(MAAS_F32));
    const maas_vid x = value(&b, "item", maas_type_tensor(MAAS_F32, 1, D2));
    const maas_vid y = maas_b_op1(&b, op, x);
    maas_b_output(&b, "s_out",
                  at < 0 ? maas_b_op2(&b, "SequenceInsert", s, y)
                         : maas_b_op3(&b, "SequenceInsert", s, y, maas_b_i64(&b, at)));
    EXPECT_MSG(b.status == MAAS_OK, "%s", r->err.msg);
    return g;
}

static void lists_grow_from_round_to_round(void)
{
    enum { N = 300 };
    rig r;
    maas_builder b;
    rig_init(&r);
    maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 1, D2), out;
    maas_graph *body = body_open(&b, &r);
    pass_cond(&b);
    list_input(&b, "s", maas_type_sequence(MAAS_F32));
    const maas_vid round = cast(&b, b.g->inputs[0], MAAS_F32);
    const maas_vid item = maas_b_op2(&b, "Add", round,
                                     value(&b, "x", maas_type_tensor(MAAS_F32, 1, D2)));
    if (b.status == MAAS_OK)
        b.status = maas_graph_rename(b.g, item, "item", &r.err);
    const maas_vid odd = maas_b_op2(&b, "Mod", b.g->inputs[0], maas_b_i64(&b, 2));
    const maas_vid is = cast(&b, odd, MAAS_BOOL);
    const maas_attr branches[] = {MAAS_A_GRAPH("then_branch", insert_at(&r, "Neg", 0)),
                                  MAAS_A_GRAPH("else_branch", insert_at(&r, "Identity", -1))};
    maas_b_output(&b, "grown", maas_b_node(&b, "If", branches, 2, &is, 1, NULL, 1));
    EXPECT_MSG(b.status == MAAS_OK, "%s", r.err.msg);
    const maas_attr f32 = MAAS_A_INT("dtype", MAAS_F32);
    maas_vid s = maas_b_node(&r.b, "SequenceEmpty", &f32, 1, NULL, 0, NULL, 1);
    loop(&r, body, maas_b_i64(&r.b, N), MAAS_NO_VALUE, s, &out, 1);
    maas_b_output(&r.b, "list", out);
    const maas_attr axis = MAAS_A_INT("axis", 0);
    maas_b_output(&r.b, "joined",
                  maas_b_node(&r.b, "ConcatFromSequence", &axis, 1, &out, 1, NULL, 1));
    (void)x;
    if (rig_plan(&r, NULL, 0))
        for (int again = 0; again < 2; again++) {
            memcpy(maas_exec_input(r.exec, 0)->data, (float[]){0, 0.5f}, 8);
            if (!run(&r))
                break;
            const maas_tensor *list = maas_exec_output(r.exec, 0);
            EXPECT_EQ(list->holds, MAAS_SEQUENCE);
            EXPECT_EQ(list->dims[0], N);
            for (int i = 0; i < N; i++) { /* -(N-1), -(N-3), ..., -1, 0, 2, ..., N-2 */
                const float want = i < N / 2 ? (float)(2 * i + 1 - N) : (float)(2 * i - N);
                EXPECT_EQ(((float *)maas_list_items(list)[i].data)[0], want);
                EXPECT_EQ(floats(&r, 1)[2 * i], want);
                EXPECT_EQ(floats(&r, 1)[2 * i + 1], want + (i < N / 2 ? -0.5f : 0.5f));
            }
        }
    rig_reset(&r);
}

/* x = [x, w]: no round has the shapes of another */
static void shapes_may_change_every_round(void)
{
    rig r;
    maas_builder b;
    rig_init(&r);
    maas_vid n = maas_b_input(&r.b, "n", MAAS_I64, 0, NULL), out;
    maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 1, D2);
    maas_graph *body = body_open(&b, &r);
    pass_cond(&b);
    const maas_attr axis = MAAS_A_INT("axis", 0);
    const int64_t any = MAAS_DIM_UNKNOWN;
    const maas_vid y = maas_b_input(&b, "y", MAAS_F32, 1, &any);
    const maas_vid both[] = {maas_b_op1(&b, "Neg", y),
                             value(&b, "x", maas_type_tensor(MAAS_F32, 1, D2))};
    maas_b_output(&b, "longer", maas_b_node(&b, "Concat", &axis, 1, both, 2, NULL, 1));
    loop(&r, body, n, MAAS_NO_VALUE, x, &out, 1);
    maas_b_output(&r.b, "end", out);
    if (rig_plan(&r, NULL, 0))
        for (int64_t rounds = 40; rounds > 36; rounds--) {
            *(int64_t *)maas_exec_input(r.exec, 0)->data = rounds;
            memcpy(maas_exec_input(r.exec, 1)->data, (float[]){1, 2}, 8);
            if (!run(&r))
                break;
            EXPECT_EQ(maas_exec_output(r.exec, 0)->dims[0], 2 * (rounds + 1));
            for (int64_t i = 0; i <= rounds; i++)
                EXPECT_EQ(floats(&r, 0)[2 * i + 1], ((rounds - (i ? i : 0)) & 1 ? -2 : 2));
        }
    rig_reset(&r);
}

/* A loop in a loop, both adding a value of the outermost graph: m * n * w */
static void values_are_captured_through_all_levels(void)
{
    rig r;
    maas_builder outer, inner;
    rig_init(&r);
    maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 1, D2), out;
    maas_b_input(&r.b, "w", MAAS_F32, 1, D2);
    const float c[] = {10, 20};
    maas_tensor ct = maas_tensor_of(MAAS_F32, 1, D2, (void *)(uintptr_t)c);
    maas_b_const(&r.b, "c", &ct);
    maas_graph *ob = body_open(&outer, &r), *ib = body_open(&inner, &r);
    pass_cond(&inner);
    maas_vid y = maas_b_op2(&inner, "Add", maas_b_input(&inner, "y", MAAS_F32, 1, D2),
                            value(&inner, "w", maas_type_tensor(MAAS_F32, 1, D2)));
    maas_b_output(
        &inner, "more",
        maas_b_op2(&inner, "Add", y, value(&inner, "c", maas_type_tensor(MAAS_F32, 1, D2))));
    EXPECT_MSG(inner.status == MAAS_OK, "%s", r.err.msg);
    pass_cond(&outer);
    const maas_attr attr = MAAS_A_GRAPH("body", ib);
    const maas_type t = maas_type_tensor(MAAS_F32, 1, D2);
    maas_vid ow = value(&outer, "w", t), oc = value(&outer, "c", t);
    const maas_vid in[] = {maas_b_i64(&outer, 3), MAAS_NO_VALUE,
                           maas_b_input(&outer, "z", MAAS_F32, 1, D2)};
    maas_b_output(&outer, "even_more", maas_b_node(&outer, "Loop", &attr, 1, in, 3, NULL, 1));
    EXPECT_MSG(outer.status == MAAS_OK && ow >= 0 && oc >= 0, "%s", r.err.msg);
    loop(&r, ob, maas_b_i64(&r.b, 4), MAAS_NO_VALUE, x, &out, 1);
    maas_b_output(&r.b, "end", out);
    EXPECT_EQ(maas_graph_verify(r.g, &r.err), MAAS_OK);
    if (rig_plan(&r, NULL, 0)) {
        memcpy(maas_exec_input(r.exec, 0)->data, (float[]){0, 0}, 8);
        memcpy(maas_exec_input(r.exec, 1)->data, (float[]){1, 2}, 8);
        EXPECT(run(&r));
        EXPECT_EQ(floats(&r, 0)[0], 12 * 11);
        EXPECT_EQ(floats(&r, 0)[1], 12 * 22);
    }
    rig_reset(&r);
}

/* Text that a round makes is carried, collected, and outlives the round. */
static void strings_are_carried_with_their_text(void)
{
    rig r;
    maas_builder b;
    rig_init(&r);
    maas_vid x = maas_b_input(&r.b, "x", MAAS_STRING, 0, NULL), out[2];
    maas_graph *body = body_open(&b, &r);
    pass_cond(&b);
    const maas_vid y = maas_b_op2(&b, "StringConcat", maas_b_input(&b, "y", MAAS_STRING, 0, NULL),
                                  value(&b, "x", maas_type_tensor(MAAS_STRING, 0, NULL)));
    maas_b_output(&b, "longer", y);
    maas_b_output(&b, "seen", maas_b_op1(&b, "Identity", y));
    EXPECT_MSG(b.status == MAAS_OK, "%s", r.err.msg);
    loop(&r, body, maas_b_i64(&r.b, 20), MAAS_NO_VALUE, x, out, 2);
    maas_b_output(&r.b, "end", out[0]);
    maas_b_output(&r.b, "all", out[1]);
    if (rig_plan(&r, NULL, 0))
        for (int again = 0; again < 2; again++) {
            *(maas_str *)maas_exec_input(r.exec, 0)->data = (maas_str){"ab", 2};
            if (!run(&r))
                break;
            const maas_str *end = maas_exec_output(r.exec, 0)->data;
            const maas_str *all = maas_exec_output(r.exec, 1)->data;
            EXPECT_EQ(end->n, 42);
            EXPECT(memcmp(end->p, "abababababababababababababababababababab", 40) == 0);
            for (size_t i = 0; i < 20; i++)
                EXPECT(all[i].n == 2 * (i + 2) && memcmp(all[i].p, end->p, all[i].n) == 0);
        }
    rig_reset(&r);
}

/* Both branches, of different shapes; the other's plan is kept. */
static maas_graph *first_elements(rig *r, int64_t n)
{
    maas_builder b;
    maas_graph *g = NULL;
    EXPECT_EQ(maas_graph_create("branch", NULL, &g, &r->err), MAAS_OK);
    maas_builder_init(&b, g, &r->err);
    const int64_t zero = 0;
    maas_b_output(&b, "some",
                  maas_b_op3(&b, "Slice", value(&b, "x", maas_type_tensor(MAAS_F32, 1, D2)),
                             maas_b_i64s(&b, &zero, 1), maas_b_i64s(&b, &n, 1)));
    EXPECT_MSG(b.status == MAAS_OK, "%s", r->err.msg);
    return g;
}

static void branches_may_differ_in_shape(void)
{
    rig r;
    rig_init(&r);
    maas_vid c = maas_b_input(&r.b, "c", MAAS_BOOL, 1, (const int64_t[]){1});
    maas_b_input(&r.b, "x", MAAS_F32, 1, D2);
    const maas_attr attr[] = {MAAS_A_GRAPH("then_branch", first_elements(&r, 1)),
                              MAAS_A_GRAPH("else_branch", first_elements(&r, 2))};
    const maas_vid y = maas_b_node(&r.b, "If", attr, 2, &c, 1, NULL, 1);
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Neg", y));
    if (rig_plan(&r, NULL, 0))
        for (int k = 0; k < 6; k++) {
            *(uint8_t *)maas_exec_input(r.exec, 0)->data = k & 1;
            memcpy(maas_exec_input(r.exec, 1)->data, (float[]){(float)k, 9}, 8);
            EXPECT(run(&r));
            EXPECT_EQ(maas_exec_output(r.exec, 0)->dims[0], k & 1 ? 1 : 2);
            EXPECT_EQ(floats(&r, 0)[0], (float)-k);
        }
    rig_reset(&r);
}

/* A branch with an If in it, whose condition c is a constant further out; and one that hands x on.
 */
static maas_graph *branch_of(rig *r, bool nested)
{
    maas_builder b;
    maas_graph *g = NULL;
    EXPECT_EQ(maas_graph_create("branch", NULL, &g, &r->err), MAAS_OK);
    maas_builder_init(&b, g, &r->err);
    const maas_vid x = value(&b, "x", maas_type_tensor(MAAS_F32, 1, D2));
    if (nested) {
        const maas_vid c = value(&b, "c", maas_type_tensor(MAAS_BOOL, 0, NULL));
        const maas_attr attr[] = {MAAS_A_GRAPH("then_branch", branch_of(r, false)),
                                  MAAS_A_GRAPH("else_branch", first_elements(r, 1))};
        const maas_vid y = maas_b_node(&b, "If", attr, 2, &c, 1, NULL, 1);
        maas_b_output(&b, "out", maas_b_op2(&b, "Add", y, maas_b_op1(&b, "Neg", x)));
    } else if (b.status == MAAS_OK) {
        b.status = maas_graph_output(g, x, &r->err);
    }
    EXPECT_MSG(b.status == MAAS_OK, "%s", r->err.msg);
    return g;
}

static void known_conditions_leave_their_branch(void)
{
    rig r;
    rig_init(&r);
    const uint8_t yes = 1;
    const maas_tensor t = maas_tensor_of(MAAS_BOOL, 0, NULL, (void *)(uintptr_t)&yes);
    const maas_vid c = maas_b_const(&r.b, "c", &t);
    maas_b_input(&r.b, "x", MAAS_F32, 1, D2);
    const maas_attr attr[] = {MAAS_A_GRAPH("then_branch", branch_of(&r, true)),
                              MAAS_A_GRAPH("else_branch", first_elements(&r, 1))};
    const maas_vid y = maas_b_node(&r.b, "If", attr, 2, &c, 1, NULL, 1);
    maas_b_output(&r.b, "y", maas_b_op1(&r.b, "Exp", y));
    if (rig_plan(&r, NULL, 0)) {
        AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(1 << 16);
        maas_plan_dump(r.plan, &text);
        EXPECT_MSG(!strstr(text.p, " If ") && !strstr(text.p, "late"), "%s", text.p);
        memcpy(maas_exec_input(r.exec, 0)->data, (float[]){3, 4}, 8);
        EXPECT(run(&r));
        EXPECT_EQ(floats(&r, 0)[0], 1);
        EXPECT_EQ(floats(&r, 0)[1], 1);
    }
    rig_reset(&r);
}

/* Each allocation of planning and of two runs fails once: a status, and nothing is left behind. */
static void lack_of_memory_is_a_status(void)
{
    for (long n = 1; n < 4000; n++) {
        rig r;
        maas_builder b;
        rig_init(&r);
        maas_vid x = maas_b_input(&r.b, "x", MAAS_F32, 1, D2), out[2];
        maas_graph *body = body_open(&b, &r);
        pass_cond(&b);
        const maas_vid y = maas_b_op1(&b, "Neg", maas_b_input(&b, "y", MAAS_F32, 1, D2));
        maas_b_output(&b, "out", y);
        maas_b_output(&b, "piece", maas_b_op1(&b, "NonZero", y));
        loop(&r, body, maas_b_i64(&r.b, 3), MAAS_NO_VALUE, x, out, 2);
        maas_b_output(&r.b, "end", out[0]);
        maas_b_output(&r.b, "all", out[1]);
        const maas_type type = maas_type_tensor(MAAS_F32, 1, D2);
        const maas_plan_opts o = {.n_threads = 1, .level = 2};
        maas_mem_fail_at(n);
        maas_status st = maas_plan_create(r.g, &type, &o, &r.plan, &r.err);
        if (st == MAAS_OK)
            st = maas_exec_create(r.plan, NULL, &r.exec, &r.err);
        for (int i = 0; i < 2 && st == MAAS_OK; i++) {
            memcpy(maas_exec_input(r.exec, 0)->data, (float[]){3, 4}, 8);
            st = maas_exec_run(r.exec, &r.err);
        }
        maas_mem_fail_at(0);
        EXPECT_MSG(st == MAAS_OK || st == MAAS_E_NOMEM, "allocation %ld: %d %s", n, st, r.err.msg);
        rig_reset(&r);
        if (st == MAAS_OK)
            return;
    }
    EXPECT_MSG(false, "it never ran");
}

static const mt_case cases[] = {
    MT_CASE(known_conditions_leave_their_branch),
    MT_CASE(lack_of_memory_is_a_status),
    MT_CASE(a_thousand_rounds_are_quick),
    MT_CASE(no_round_at_all_gives_what_came_and_nothing_collected),
    MT_CASE(an_endless_loop_ends_with_words),
    MT_CASE(lists_grow_from_round_to_round),
    MT_CASE(shapes_may_change_every_round),
    MT_CASE(values_are_captured_through_all_levels),
    MT_CASE(strings_are_carried_with_their_text),
    MT_CASE(branches_may_differ_in_shape),
};

int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
