//! `config.json`: any text is refused in words, or is a model whose numbers can be worked with.
#![no_main]

use gptneo_device::{CacheType, DType};
use gptneo_model::{CacheOptions, Config, Storage, memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(config) = Config::from_json(text) else { return };
    let cache = CacheOptions { positions: config.positions, key: CacheType::F16, value: CacheType::Q8_0 };
    for dtype in [DType::F32, DType::Q4_K] {
        let storage = Storage::new(dtype).expect("both can be written");
        assert!(memory(&config, storage, cache).total() >= config.parameters() / 2);
    }
    let again = Config::from_json(config.to_json("float32").as_bytes()).expect("what is written reads back");
    assert_eq!(again, config);
});
