/* tests/unit/learn/test_layers.c - every kind of layer learns something it must be able to, and is
 * served as it was scored. */
#include "../../maas_test.h"

#include "toy.h"

#include "learn/net.h"
#include "learn/zoo.h"

enum { N = 160, SIDE = 8 };

static uint8_t image[N * SIDE * SIDE];
static int64_t label[N];
static toy data;

/* A bright line, lying or standing, over noise: no single place says which. */
static void make_images(void)
{
    maas_rng rng;
    maas_rng_seed(&rng, 5);
    for (int i = 0; i < N; i++) {
        const int at = (int)(maas_rng_unit(&rng) * SIDE);
        label[i] = maas_rng_unit(&rng) < 0.5 ? 3 : 8;
        for (int r = 0; r < SIDE; r++)
            for (int c = 0; c < SIDE; c++)
                image[(i * SIDE + r) * SIDE + c] =
                    (uint8_t)(60 * maas_rng_unit(&rng) + ((label[i] == 3 ? r : c) == at ? 180 : 0));
    }
    toy_init(&data, N);
    toy_add_tensor(&data, "image", MAAS_U8, 2, (int64_t[]){SIDE, SIDE}, image);
    toy_add(&data, "k", MAAS_I64, label);
}

static const struct layers_row {
    const char *kind, *layers;
} nets[] = {
    {"conv2d",
     "{'type':'conv2d','filters':8,'kernel_size':[5,5],'padding':'same','activation':'relu'},"
     "'global_max_pool','dense'"},
    {"max_pool", "{'type':'conv2d','filters':6,'padding':1,'activation':'relu'},'max_pool',"
                 "{'type':'max_pool','kernel_size':3,'stride':2,'padding':1},'flatten','dense'"},
    {"avg_pool", "{'type':'conv2d','filters':6,'kernel_size':[1,8],'activation':'relu'},"
                 "{'type':'avg_pool','kernel_size':[2,1]},'flatten','dense'"},
    {"global_avg_pool",
     "{'type':'conv2d','filters':8,'kernel_size':5,'padding':2,'activation':'relu'},"
     "{'type':'conv2d','filters':8,'stride':2,'activation':'relu'},'global_avg_pool','dense'"},
    {"global_max_pool",
     "{'type':'conv2d','filters':8,'kernel_size':[8,1]},'global_max_pool','dense'"},
    {"batch_norm",
     "{'type':'conv2d','filters':8,'bias':false,'padding':'same'},'batch_norm','activation',"
     "{'type':'conv2d','filters':8,'groups':0,'padding':'same','dilation':2},'batch_norm','"
     "activation',"
     "'flatten',{'type':'dense','units':16},'batch_norm','activation','dense'"},
    {"layer_norm",
     "'flatten',{'type':'dense','units':32},'layer_norm',{'type':'activation','function':'relu6'},"
     "'dense'"},
    {"conv1d",
     "{'type':'conv1d','filters':16,'kernel_size':3,'activation':'relu'},'flatten','dense'"},
    {"conv3d",
     "{'type':'reshape','shape':[1,2,4,8]},{'type':'conv3d','filters':8,'kernel_size':[1,3,3],"
     "'padding':'same','activation':'relu'},'flatten','dense'"},
    {"conv_transpose2d",
     "{'type':'conv2d','filters':4,'stride':2,'padding':1,'activation':'relu'},"
     "{'type':'conv_transpose2d','filters':4,'kernel_size':2,'stride':2,'activation':'relu'},"
     "'flatten','dense'"},
    {"permute", "{'type':'permute','order':[2,1]},'flatten',{'type':'dense','units':32,'activation'"
                ":'relu'},'dense'"},
    {"add", "{'type':'conv2d','filters':6,'padding':'same','activation':'relu','name':'a'},"
            "{'type':'conv2d','filters':6,'padding':'same','name':'b'},"
            "{'type':'add','inputs':['a','b'],'activation':'relu'},'flatten','dense'"},
    {"concat",
     "{'type':'conv2d','filters':4,'kernel_size':[1,5],'padding':'same','inputs':['input'],'name':'"
     "lying'},"
     "{'type':'conv2d','filters':4,'kernel_size':[5,1],'padding':'same','inputs':['input'],'name':'"
     "standing'},"
     "{'type':'concat','inputs':['lying','standing']},'activation','global_max_pool','dense'"},
    {"dense", "'flatten',{'type':'dense','units':64,'activation':'relu'},'dense'"},
    {"activation", "'flatten',{'type':'dense','units':64},'activation','dense'"},
    {"dropout", "'flatten',{'type':'dense','units':64,'activation':'relu'},{'type':'dropout','rate'"
                ":0.2},'dense'"},
    {"flatten", "'flatten',{'type':'dense','units':32,'activation':'relu'},'dense'"},
    {"reshape",
     "{'type':'reshape','shape':[-1]},{'type':'dense','units':32,'activation':'relu'},'dense'"},
    {"embedding", NULL}, /* whole numbers: test_train_input.c */
    {"fields", NULL},    /* columns of a table, and what reads them: test_fields.c */
    {"similarity",
     "{'type':'conv2d','filters':8,'kernel_size':[5,5],'padding':'same','activation':'relu'},"
     "{'type':'global_max_pool','name':'both'},{'type':'dense','units':6,'name':'a'},{'type':"
     "'dense','units':6,'inputs':['both'],'name':'b'},{'type':'similarity','inputs':['a','b']}"},
    {"fm", NULL},
    {"dot", NULL},
    {"sum", "{'type':'conv2d','filters':8,'kernel_size':5,'padding':2,'activation':'relu'},"
            "{'type':'sum','axis':2},'flatten','dense'"},
    {"lstm", "{'type':'lstm','units':16,'bidirectional':true,'return_sequences':true},"
             "{'type':'lstm','units':16},'dense'"},
    {"gru", "{'type':'gru','units':16,'bidirectional':true},'dense'"},
    {"attention",
     "{'type':'dense','units':16,'per_step':true},'position',{'type':'attention','heads':2,'rate':"
     "0.1},{'type':'sequence_pool','mode':'max'},'dense'"},
    {"position", "{'type':'dense','units':16,'per_step':true},{'type':'position','mode':'sines'},"
                 "{'type':'dense','units':32,'per_step':true,'activation':'relu'},"
                 "{'type':'sequence_pool','mode':'max'},'dense'"},
    {"sequence_pool",
     "{'type':'gru','units':16,'return_sequences':true},{'type':'sequence_pool','mode':'last'},"
     "'dense'"},
};

static void served_as_scored(const char *kind, const maas_train_result *r)
{
    toy_model m;
    maas_err err = {0};
    REQUIRE_OK(toy_model_open(&m, &r->onnx, N, &err), err);
    maas_tensor *x = maas_exec_input(m.exec, 0);
    for (int j = 0; j < N * SIDE * SIDE; j++)
        ((float *)x->data)[j] = image[j];
    REQUIRE_OK(maas_exec_run(m.exec, &err), err);
    int right = 0;
    for (int i = 0; i < N; i++)
        right += ((int64_t *)toy_output(&m, "label")->data)[i] == label[i];
    EXPECT_MSG((double)right / N >= 0.95, "%s: serves %g", kind, (double)right / N);
    toy_model_close(&m);
}

static void learns(const struct layers_row *row)
{
    char params[1200];
    maas_train_result r = {0};
    maas_err err;
    snprintf(params, sizeof params,
             "{'layers':[%s],'epochs':60,'batch_size':16,'seed':3,'schedule':'constant','optimizer'"
             ":{'type':'adam','lr':0.01}}",
             row->layers);
    maas_status st = toy_train(&data, "network", "k", params, &r, &err);
    EXPECT_MSG(st == MAAS_OK, "%s: %s", row->kind, err.msg);
    if (st != MAAS_OK)
        return;
    EXPECT_MSG(toy_metric(&r, "accuracy") >= 0.95, "%s: %g", row->kind, toy_metric(&r, "accuracy"));
    served_as_scored(row->kind, &r);
    maas_train_result_reset(&r);
}

static void every_kind_learns(void)
{
    make_images();
    for (size_t i = 0; i < MAAS_COUNT(nets); i++)
        if (nets[i].layers)
            learns(&nets[i]);
}

static void every_kind_has_a_row(void)
{
    for (int k = 0; k < MAAS_N_LAYER_KINDS; k++) {
        bool found = maas_layer_reads_edges(k); /* those are in test_graph.c */
        for (size_t i = 0; i < MAAS_COUNT(nets); i++)
            found |= strcmp(nets[i].kind, maas_layer_kinds[k].doc.name) == 0;
        EXPECT_MSG(found, "no network here has a layer %s", maas_layer_kinds[k].doc.name);
    }
}

static void mistakes_are_named(void)
{
    static const struct {
        const char *layers, *words;
    } bad[] = {
        {"{'type':'conv2d','filters':4,'kernel_size':'big'},'flatten','dense'",
         "params.layers[0].kernel_size"},
        {"{'type':'conv2d','filters':4,'kernel_size':[3,3,3]},'flatten','dense'",
         "params.layers[0].kernel_size"},
        {"{'type':'conv2d','filters':4,'kernel_size':0},'flatten','dense'",
         "params.layers[0].kernel_size"},
        {"{'type':'conv2d','filters':4,'padding':'all'},'flatten','dense'",
         "params.layers[0].padding"},
        {"{'type':'conv2d','filters':4,'groups':3},'flatten','dense'", "params.layers[0].groups"},
        {"{'type':'conv2d','filters':4,'kernel_size':9},'flatten','dense'", "Conv"},
        {"'flatten',{'type':'conv2d','filters':4},'dense'", "params.layers[1]: conv2d takes rows"},
        {"{'type':'add','inputs':['input','late']},{'type':'flatten','name':'late'},'dense'",
         "params.layers[0].inputs[1]"},
        {"{'type':'add'},'flatten','dense'", "params.layers[0].inputs"},
        {"{'type':'flatten','name':'x'},{'type':'dense','units':3,'name':'x'},'dense'",
         "params.layers[1].name"},
        {"{'type':'flatten','inputs':['input','input']},'dense'", "params.layers[0].inputs"},
        {"{'type':'reshape','shape':[7,7]},'flatten','dense'", "Reshape"},
        {"{'type':'reshape'},'flatten','dense'", "params.layers[0].shape"},
        {"{'type':'permute','order':[1,1]},'flatten','dense'", "Transpose"},
    };
    make_images();
    for (size_t i = 0; i < MAAS_COUNT(bad); i++) {
        char params[400];
        maas_train_result r = {0};
        maas_err err;
        snprintf(params, sizeof params, "{'layers':[%s]}", bad[i].layers);
        EXPECT_MSG(toy_train(&data, "network", "k", params, &r, &err) == MAAS_E_INVALID, "%s",
                   bad[i].layers);
        EXPECT_MSG(strstr(err.msg, bad[i].words) != NULL, "%s: %s", bad[i].layers, err.msg);
    }
}

/* ---- the zoo ---- */

/* What networks of some kind need beside their name. */
static const char *needs_of(const char *name)
{
    static const struct {
        const char *name, *params;
    } needs[] = {
        {"two_tower", ",'towers':{'query':['user']}"},
        {"gcn", ",'graph':{'edges':'cites'}"},
        {"graphsage", ",'graph':{'edges':'cites'}"},
    };
    for (size_t i = 0; i < MAAS_COUNT(needs); i++)
        if (strcmp(needs[i].name, name) == 0)
            return needs[i].params;
    return "";
}

static void networks_of_the_zoo_are_legal(void)
{
    const char *name, *help;
    size_t n = 0;
    for (; maas_zoo_at(n, &name, &help); n++) {
        char params[100];
        maas_err err = {0};
        EXPECT_MSG(*help, "%s has no help", name);
        snprintf(params, sizeof params, "{'layers':'%s'%s}", name, needs_of(name));
        json_t *p = toy_params(params);
        EXPECT_MSG(maas_train_check("network", p, &err) == MAAS_OK, "%s: %s", name, err.msg);
        json_decref(p);
    }
    EXPECT(n >= 8);
}

static void a_network_of_the_zoo_is_trained_by_name(void)
{
    maas_train_result r = {0};
    maas_err err;
    make_images();
    REQUIRE_OK(toy_train(&data, "network", "k", "{'layers':'mlp','epochs':40,'seed':1}", &r, &err),
               err);
    EXPECT_MSG(toy_metric(&r, "accuracy") >= 0.95, "%g", toy_metric(&r, "accuracy"));
    served_as_scored("mlp", &r);
    maas_train_result_reset(&r);
    EXPECT_EQ(toy_train(&data, "network", "k", "{'layers':'resnet19'}", &r, &err), MAAS_E_INVALID);
    EXPECT_MSG(strstr(err.msg, "resnet18") != NULL, "%s", err.msg);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(every_kind_has_a_row),
        MT_CASE(every_kind_learns),
        MT_CASE(mistakes_are_named),
        MT_CASE(networks_of_the_zoo_are_legal),
        MT_CASE(a_network_of_the_zoo_is_trained_by_name),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
