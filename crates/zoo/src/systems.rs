//! The 69 systems: number, the name of the recipe, title, and what a system still needs while it has not run.

/// One of the published systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub number: u32,
    /// The recipe is `recipes/zoo/NAME.toml`.
    pub name: &'static str,
    pub title: &'static str,
    /// What is missing while it has not run.
    pub needs: Needs,
}

/// What a system needs before it can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing but its recipe.
    Recipe,
    Agents,
    Vision,
    Audio,
    Flow,
    Duration,
}

impl Needs {
    /// The missing piece, in words.
    pub fn words(self) -> &'static str {
        match self {
            Needs::Recipe => "its run",
            Needs::Agents => "dialogues of several turns with an environment",
            Needs::Vision => "a policy that sees",
            Needs::Audio => "a policy that hears",
            Needs::Flow => "a flow policy",
            Needs::Duration => "a duration policy",
        }
    }
}

/// The system of a recipe's name.
pub fn by_name(name: &str) -> Option<&'static Listed> {
    SYSTEMS.iter().find(|system| system.name == name)
}

const fn system(number: u32, name: &'static str, title: &'static str, needs: Needs) -> Listed {
    Listed { number, name, title, needs }
}

/// By number, from 1.
pub const SYSTEMS: [Listed; 69] = [
    system(1, "verireason", "VeriReason", Needs::Recipe),
    system(2, "job-eval", "JobEval-GRPO", Needs::Recipe),
    system(3, "mind-v", "MIND-V", Needs::Flow),
    system(4, "yingmusic-singer", "YingMusic-Singer", Needs::Flow),
    system(5, "pref-grpo", "Pref-GRPO", Needs::Flow),
    system(6, "chartmaster", "ChartMaster (ChartSimRL)", Needs::Vision),
    system(7, "grpo-guard", "GRPO-Guard", Needs::Flow),
    system(8, "reason-rft", "Reason-RFT", Needs::Vision),
    system(9, "bigcharts-r1", "BigCharts-R1", Needs::Vision),
    system(10, "br-rm", "BR-RM", Needs::Recipe),
    system(11, "uae", "UAE (Unified-GRPO)", Needs::Flow),
    system(12, "nav-r1", "Nav-R1", Needs::Vision),
    system(13, "defacto", "DeFacto", Needs::Vision),
    system(14, "music-flamingo", "Music Flamingo", Needs::Audio),
    system(15, "trimpi", "TriMPI / PolicyRollout", Needs::Vision),
    system(16, "affordance-r1", "Affordance-R1", Needs::Vision),
    system(17, "prorank", "ProRank", Needs::Recipe),
    system(18, "g2rpo", "G2RPO", Needs::Flow),
    system(19, "motif", "MOTIF", Needs::Recipe),
    system(20, "viss-r1", "ViSS-R1 / Pretext-GRPO", Needs::Vision),
    system(21, "moe-sparsity", "Optimal MoE sparsity", Needs::Recipe),
    system(22, "3d-r1", "3D-R1", Needs::Vision),
    system(23, "disco", "DisCO", Needs::Recipe),
    system(24, "grpo-care", "GRPO-CARE", Needs::Vision),
    system(25, "s-grpo", "S-GRPO", Needs::Recipe),
    system(26, "soft-grpo", "SofT-GRPO", Needs::Recipe),
    system(27, "stratified-grpo", "Stratified GRPO", Needs::Agents),
    system(28, "rank-grpo", "Rank-GRPO (ConvRec-R1)", Needs::Recipe),
    system(29, "mc-grpo", "MC-GRPO", Needs::Recipe),
    system(30, "grpo-lambda", "GRPO-lambda (length)", Needs::Recipe),
    system(31, "talk2move", "Talk2Move", Needs::Flow),
    system(32, "open-rs", "Open-RS", Needs::Recipe),
    system(33, "reasoning-sql", "Reasoning-SQL", Needs::Recipe),
    system(34, "stealthrl", "StealthRL", Needs::Recipe),
    system(35, "temporal-r1", "Temporal-R1 / Temporal-RLT", Needs::Vision),
    system(36, "r1-aqa", "R1-AQA", Needs::Audio),
    system(37, "c-grpo", "CaRR / C-GRPO", Needs::Agents),
    system(38, "sage-hint", "SAGE", Needs::Recipe),
    system(39, "spine", "SPINE", Needs::Recipe),
    system(40, "avatarshield", "AvatarShield", Needs::Vision),
    system(41, "grpo-ptr", "EmotionThinker / GRPO-PTR", Needs::Audio),
    system(42, "hc-grpo", "ESearch-R1 / HC-GRPO", Needs::Vision),
    system(43, "expo", "ExPO / ExP-GRPO", Needs::Recipe),
    system(44, "dr-irl", "DR-IRL / GRPO-S", Needs::Recipe),
    system(45, "sage-skill", "SAGE (skill library)", Needs::Agents),
    system(46, "rlver", "RLVER", Needs::Agents),
    system(47, "dmospeech2", "DMOSpeech 2", Needs::Duration),
    system(48, "nft", "NFT", Needs::Recipe),
    system(49, "noisy-rlvr", "Noisy RLVR (PGBC/PGFC)", Needs::Recipe),
    system(50, "rl-struct", "RL-Struct", Needs::Recipe),
    system(51, "grouprank", "GroupRank", Needs::Recipe),
    system(52, "format-length", "Format-Length surrogate", Needs::Recipe),
    system(53, "paco-rl", "PaCo-RL", Needs::Flow),
    system(54, "small-subnetworks", "RL small subnetworks", Needs::Recipe),
    system(55, "med-r1", "Med-R1", Needs::Vision),
    system(56, "rrvf", "RRVF", Needs::Vision),
    system(57, "latr", "LATR", Needs::Recipe),
    system(58, "chronoforge-rl", "ChronoForge-RL", Needs::Vision),
    system(59, "guide-grpo", "Guide-GRPO", Needs::Recipe),
    system(60, "one-shot-rlvr", "1-shot RLVR", Needs::Recipe),
    system(61, "truth-rl", "TruthRL", Needs::Recipe),
    system(62, "otc", "OTC-PO", Needs::Agents),
    system(63, "reg-grpo", "DeepVideo-R1", Needs::Vision),
    system(64, "ttrv", "TTRV", Needs::Vision),
    system(65, "fission-grpo", "Fission-GRPO", Needs::Agents),
    system(66, "sari", "SARI", Needs::Audio),
    system(67, "pta-grpo", "PTA-GRPO", Needs::Recipe),
    system(68, "taco", "TACO", Needs::Vision),
    system(69, "alphadrive", "AlphaDrive", Needs::Vision),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_numbered_and_every_name_is_one_recipe() {
        assert!(SYSTEMS.iter().enumerate().all(|(i, system)| system.number as usize == i + 1));
        let names: BTreeSet<&str> = SYSTEMS.iter().map(|system| system.name).collect();
        assert_eq!(names.len(), SYSTEMS.len());
        assert_eq!(by_name("mc-grpo").map(|system| system.number), Some(29));
        assert_eq!(by_name("grpo"), None);
    }

    /// The method side of every system has a recipe of its own.
    #[test]
    fn the_names_are_those_of_the_methods() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/algorithms");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let named: BTreeSet<String> =
            files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(named, SYSTEMS.iter().map(|system| system.name.to_owned()).collect());
    }
}
