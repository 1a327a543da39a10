/*
 * lm/source/hf_int.h - shared by the files that read Hugging Face folders: config.json,
 * tokenizer.json and *.safetensors become keys and weights with the names that GGUF has for them.
 */
#ifndef MAAS_LM_HF_INT_H
#define MAAS_LM_HF_INT_H

#include "base/json.h"
#include "formats/gguf.h"
#include "lm/source.h"

#define MAAS_MAX_HF_CONFIG    (4u << 20) /* bytes of a small JSON file, and of a template */
#define MAAS_HF_POOLING       "1_Pooling/config.json"
#define MAAS_MAX_HF_TOKENIZER (256u << 20) /* bytes of tokenizer.json */

/* Weights of these names have those in GGUF; '%' is the number of a layer, what follows the name
 * (".weight", ".bias") stays. */
typedef enum maas_hf_change { /* what becomes of a weight's rows; all but the first copy them */
                              MAAS_HF_AS_IS,
                              MAAS_HF_SHIFTED,    /* positions are counted from the padding's on */
                              MAAS_HF_TRANSPOSED, /* Conv1D: [in][out] */
                              MAAS_HF_GROUPED, /* queries, key and value of each group of heads */
                              MAAS_HF_EXPERT,  /* a second '%' says whose; they become one weight */
                              MAAS_HF_DECAY    /* logarithms of rates: -exp of them, in floats */
} maas_hf_change;
typedef struct maas_hf_weight {
    const char *from, *to; /* to NULL: not needed */
    maas_hf_change how;
} maas_hf_weight;
extern const maas_hf_weight maas_hf_decoder[], maas_hf_two_norms[], maas_hf_four_norms[],
    maas_hf_late_norms[], maas_hf_mamba[], maas_hf_glm4[], maas_hf_fused[], maas_hf_qwen_experts[],
    maas_hf_mixtral_experts[], maas_hf_starcoder2[], maas_hf_gpt2[], maas_hf_gptneox[],
    maas_hf_falcon[], maas_hf_bert[], maas_hf_bert_places[], maas_hf_roberta_places[],
    maas_hf_bert_head[], maas_hf_roberta_head[], maas_hf_modern_bert[], maas_hf_modern_head[];

enum {
    MAAS_HF_NORM_PLUS_ONE = 1,  /* weights of normalizations are stored less one */
    MAAS_HF_ROPE_HALVES = 2,    /* rotary pairs are halves of a head, and GGUF's are neighbours */
    MAAS_HF_WINDOW = 4,         /* sliding_window is heeded */
    MAAS_HF_PARTIAL = 8,        /* partial_rotary_factor is heeded */
    MAAS_HF_EXPERTS = 16,       /* layers may have experts */
    MAAS_HF_ENCODER = 32,       /* texts become vectors: there is no head of words */
    MAAS_HF_RANK = 64,          /* pairs of texts become a score */
    MAAS_HF_GLOBAL_FIRST = 128, /* local_of counts from the first layer, not to the last */
    MAAS_HF_STATE = 256         /* there are no heads that could be turned */
};

typedef struct maas_hf maas_hf;
/* One row of hf_arch.c: a class of the transformers library. */
typedef struct maas_hf_arch {
    const char *name;                /* "LlamaForCausalLM" */
    const char *gguf;                /* what GGUF calls it */
    const char *defaults;            /* JSON: what config.json may leave out */
    const maas_hf_weight *tables[3]; /* of weights, each ends with an empty row */
    const char *const *prefixes;     /* of names, that are taken for "model."; ends with NULL */
    const char *const *ignored;      /* prefixes of names that text does not need; may be NULL */
    const char *const *acts;         /* words for its activation; ends with NULL */
    int local_of;                    /* layers that look back all the way; 0: no such pattern */
    uint32_t flags;
    maas_status (*complete)(maas_hf *h); /* what config.json says in other words; may be NULL */
} maas_hf_arch;
maas_status maas_hf_four_times(maas_hf *h); /* hf_config.c */
maas_status maas_hf_falcon_heads(maas_hf *h);
maas_status maas_hf_mamba_keys(maas_hf *h); /* hf_state.c */
maas_status maas_hf_mamba2_keys(maas_hf *h);
extern const maas_hf_arch maas_hf_archs[];
extern const size_t maas_hf_n_archs;

struct maas_hf { /* while a folder is opened */
    const maas_lm_file *files;
    uint32_t n_files;
    maas_arena *a;
    maas_err *err;
    const maas_hf_arch *arch;
    json_t *config;                 /* config.json */
    json_t *text;                   /* the part of it that is about the language model */
    json_t *generation, *tokenizer; /* generation_config.json, tokenizer_config.json; or NULL */
    maas_gguf *out;
    size_t cap_values, cap_tensors;
    struct maas_hf_expert *experts; /* hf_change.c */
    size_t n_experts, cap_experts;
};

bool maas_hf_is(const maas_lm_file *files, uint32_t n); /* is there a config.json? */
maas_status maas_hf_open(const maas_lm_file *files, uint32_t n, maas_arena *a, maas_gguf *out,
                         maas_err *err);
const maas_lm_file *maas_hf_file(const maas_hf *h, const char *path); /* NULL */
maas_status maas_hf_no_memory(const maas_hf *h);
/* Members of an object, as they lie in the text; n 0: not there. */
typedef struct maas_hf_part {
    const char *key;
    maas_span text;
} maas_hf_part;
/* Notes where the wanted members of the object are; the others may be anything. */
maas_status maas_hf_find_parts(const maas_hf *h, const char *path, maas_span text,
                               maas_hf_part *parts, size_t n);

/* Keys; one that begins with "%s." has the name of the architecture there. Values are borrowed
 * (strings, arrays: from the arena or a file) or copied (numbers). */
maas_status maas_hf_put_u64(maas_hf *h, const char *key, uint64_t v);
maas_status maas_hf_put_f64(maas_hf *h, const char *key, double v);
maas_status maas_hf_put_bool(maas_hf *h, const char *key, bool v);
maas_status maas_hf_put_str(maas_hf *h, const char *key, maas_str v);
maas_status maas_hf_put_text(maas_hf *h, const char *key, const char *v);
maas_status maas_hf_put_strs(maas_hf *h, const char *key, const maas_str *v, uint64_t n);
maas_status maas_hf_put_numbers(maas_hf *h, const char *key, maas_gguf_type of, const void *v,
                                uint64_t n);
maas_status maas_hf_put_tensor(maas_hf *h, const maas_gguf_tensor *t);

maas_status maas_hf_read_config(maas_hf *h);  /* arch, text, and keys of hyperparameters */
maas_status maas_hf_read_rope(maas_hf *h);    /* positions of it */
maas_status maas_hf_read_pooling(maas_hf *h); /* modules.json, 1_Pooling/config.json */
maas_status maas_hf_read_weights(maas_hf *h); /* of *.safetensors */
/* The name that GGUF has for a weight of a class (h->arch), by a row of its tables; *row NULL: it
 * has none of that name. */
const maas_quant *maas_hf_type(const char *name); /* "BF16"; NULL: not computed with */
maas_status maas_hf_rename(maas_hf *h, maas_str name, maas_str *out, const maas_hf_weight **row);
/* hf_change.c */
maas_status maas_hf_change_of(maas_hf *h, maas_hf_change how, maas_gguf_tensor *w);
maas_status maas_hf_add_expert(maas_hf *h, const maas_gguf_tensor *w, maas_str number);
maas_status maas_hf_join_experts(maas_hf *h);
double maas_hf_number(const json_t *o, const char *key, double otherwise);
/* An array of the arena with room for one more than n; NULL: no memory. */
void *maas_hf_grown(maas_hf *h, void *rows, size_t *cap, size_t n, size_t size);
maas_status maas_hf_read_json(maas_hf *h, const char *path, json_t **out); /* NULL: not there */
maas_status maas_hf_read_tokens(maas_hf *h); /* tokenizer.json, and ids of the other files */

/* hf_words.c: normalizer, pre_tokenizer and post_processor of tokenizer.json as keys. */
typedef enum maas_hf_prefix { /* a blank before a text */
                              MAAS_HF_PREFIX_NEVER,
                              MAAS_HF_PREFIX_ALWAYS,
                              MAAS_HF_PREFIX_MISSING, /* when it begins with none */
                              MAAS_HF_PREFIX_FIRST /* that, and nothing was before, special or not
                                                    */
} maas_hf_prefix;
typedef struct maas_hf_pipeline {
    const json_t *normalizer, *pre_tokenizer, *post_processor; /* NULL: none */
    maas_str type;                                             /* of the model: "BPE" */
    bool ignore_merges, fuse_unknown;
    /* what came out */
    bool byte_level, spaces; /* blanks are written as U+2581 */
    maas_hf_prefix prefix;
    bool joins, strips, mapped; /* unigrams: blanks side by side are one, at the end none */
    maas_str bos, eos;          /* that a text is framed with; n 0: none */
    bool parts;                 /* two texts are parted by one more of `eos` */
} maas_hf_pipeline;
maas_status maas_hf_read_pipeline(maas_hf *h, maas_hf_pipeline *p);

/* One of the pipelines, its sequences laid out flat; for hf_words.c and hf_frame.c. */
enum { MAAS_HF_MAX_STEPS = 16 };
typedef struct maas_hf_steps {
    maas_hf *h;
    maas_hf_pipeline *p;
    const char *part; /* "pre_tokenizer" */
    const json_t *list[MAAS_HF_MAX_STEPS];
    size_t n;
    maas_str *stages; /* patterns */
    uint64_t n_stages;
} maas_hf_steps;
typedef struct maas_hf_step {
    const char *type;
    maas_status (*take)(maas_hf_steps *s, const json_t *step); /* NULL: does nothing to a text */
} maas_hf_step;
/* Takes every step by its row; `list`: the member of a Sequence that has its steps. */
maas_status maas_hf_run(maas_hf_steps *s, const char *part, const json_t *steps, const char *list,
                        const maas_hf_step *rows, size_t n);
maas_status maas_hf_refuse(const maas_hf_steps *s, const char *type, const char *why);
const char *maas_hf_word(const json_t *o, const char *key); /* a text; "" */
maas_status maas_hf_read_frame(maas_hf_steps *s);           /* post_processor */

#endif
