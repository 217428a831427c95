#!/usr/bin/env bash
# moe_sweep.sh: the sweep of recipes/zoo/moe-sparsity.toml, experts x top-k at equal active compute (each row goes through 64 units of a layer's experts),
# on dev; what is finished is not run again. Prints means over the seeds and Spearman's correlations, as docs/moe-sweep.md has them. At equal active
# compute a policy with more parameters is a sparser one (64 experts / top-k units a layer, sparsity 1 - top-k / experts), so one order is both.
#
#     bash benches/moe_sweep.sh                     # 36 runs of about a minute on one core; runs/moe-sweep
#     EXPERTS="4 16" TOP_K=2 SEEDS=0 bash benches/moe_sweep.sh
set -euo pipefail
cd "$(dirname "$0")/.."
cohort=${COHORT:-${CARGO_TARGET_DIR:-target}/release/cohort}
[ -x "$cohort" ] || cargo build --release -p cohort-rl
runs=${RUNS:-runs/moe-sweep}
read -ra experts <<< "${EXPERTS:-4 8 16 32}"
read -ra top_k <<< "${TOP_K:-1 2 4}"
read -ra seeds <<< "${SEEDS:-0 1 2}"

# run EXPERTS TOP_K SEED DIR: a policy of its own from a cold start of its own, then reinforcement on sums.
run() {
    local what=(policy.new.experts.count="$1" policy.new.experts.top_k="$2" policy.new.experts.inner=$((64 / $2)) policy.new.seed="$3")
    what+=(supervised.seed="$3" 'eval.split="dev"' train.max_tokens=60000 train.workers=1)
    "$cohort" train moe-sparsity --run-dir "$4" --seed "$3" --resume "${what[@]/#/--set=}" > "$4.log" 2>&1 || { tail -5 "$4.log" >&2; exit 1; }
}

mkdir -p "$runs"
folders=() points=()
for seed in "${seeds[@]}"; do
    for count in "${experts[@]}"; do
        for k in "${top_k[@]}"; do
            [ "$k" -le "$count" ] || continue
            folders+=("$runs/experts$count-top$k-seed$seed")
            points+=("$count $k $seed")
            run "$count" "$k" "$seed" "${folders[-1]}"
            echo "${#folders[@]}: ${folders[-1]}" >&2
        done
    done
done

# A line a run: experts, top-k, seed, what is known by heart and what is reckoned before and after reinforcement, the router's load at the end.
for i in "${!folders[@]}"; do
    folder=${folders[i]}
    "$cohort" export "$folder" --csv "$folder.csv" > /dev/null
    load=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "router_load_balance") column = i } END { print $column }' "$folder.csv")
    # `compare` takes two runs or more: the first of these is read.
    "$cohort" compare "$folder" "$folder" --json | awk -v point="${points[i]}" -v load="$load" '
        /"(before|after)": \{/ { when = $1 }
        /"greedy\/(facts|sums)": [0-9]/ { gsub(/[":,]/, ""); if (!(($1, when) in value)) value[$1, when] = $2 }
        END {
            print point, value["greedy/facts", "\"before\":"], value["greedy/facts", "\"after\":"],
                value["greedy/sums", "\"before\":"], value["greedy/sums", "\"after\":"], load
        }'
done | awk '
    # Ranks of x[1..n], equal values sharing their mean rank.
    function ranks(x, n, r,    i, j, less, same) {
        for (i = 1; i <= n; i++) { less = same = 0; for (j = 1; j <= n; j++) { less += x[j] < x[i]; same += x[j] == x[i] } r[i] = less + (same + 1) / 2 }
    }
    # Spearman: the correlation of ranks; equal values alone have none.
    function spearman(x, y, n,    a, b, i, mean, sab, saa, sbb) {
        ranks(x, n, a); ranks(y, n, b); mean = (n + 1) / 2
        for (i = 1; i <= n; i++) { sab += (a[i] - mean) * (b[i] - mean); saa += (a[i] - mean) ^ 2; sbb += (b[i] - mean) ^ 2 }
        return saa * sbb == 0 ? "none" : sprintf("%+.2f", sab / sqrt(saa * sbb))
    }
    # Columns a and b of the policies in the place of `seed`, or of their means where it is "".
    function rho(a, b, seed,    x, y, n, i, p) {
        for (i = 1; i <= policies; i++) { p = order[i]; n++; x[n] = seed == "" ? mean[p, a] : at[p, seed, a]; y[n] = seed == "" ? mean[p, b] : at[p, seed, b] }
        return spearman(x, y, n)
    }
    {
        policy = $1 " " $2
        if (!(policy in count)) order[++policies] = policy
        if (!($3 in known)) { known[$3]; seeds[++of_seeds] = $3 }
        count[policy]++
        # 1: parameters of the experts: two layers, three matrices of 32 x inner an expert.
        value[1] = 2 * $1 * 3 * 32 * 64 / $2
        for (i = 4; i <= 8; i++) value[i - 2] = $i
        for (i = 1; i <= 6; i++) { at[policy, $3, i] = value[i]; sum[policy, i] += value[i] }
    }
    END {
        for (i = 1; i <= policies; i++) for (c = 1; c <= 6; c++) mean[order[i], c] = sum[order[i], c] / count[order[i]]
        print "| experts | top-k | sparsity | parameters of experts | facts, before | after | sums, before | after | router load / k |"
        print "|---|---|---|---|---|---|---|---|---|"
        for (i = 1; i <= policies; i++) {
            p = order[i]; split(p, grid, " ")
            printf "| %d | %d | %.3f | %d | %.3f | %.3f | %.3f | %.3f | %.2f |\n", grid[1], grid[2], 1 - grid[2] / grid[1], mean[p, 1], mean[p, 2],
                mean[p, 3], mean[p, 4], mean[p, 5], mean[p, 6] / grid[2]
        }
        print "\n| Spearman, of | means over the seeds | by seed |\n|---|---|---|"
        split("1 2,1 3,1 4,1 5,2 3,4 5", pairs, ",")
        split("parameters and facts before,parameters and facts after,parameters and sums before,parameters and sums after,facts before and after,sums before and after", words, ",")
        for (i = 1; i <= 6; i++) {
            split(pairs[i], pair, " "); each = ""
            for (s = 1; s <= of_seeds; s++) each = each (s > 1 ? ", " : "") rho(pair[1], pair[2], seeds[s])
            print "| " words[i] " | " rho(pair[1], pair[2], "") " | " each " |"
        }
    }'
