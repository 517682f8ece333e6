-- A ledger as the first version of its tables left it. Never change it: files like it exist.
BEGIN TRANSACTION;
CREATE TABLE tamma_usage_attempts (
	seq BIGINT NOT NULL, 
	position INTEGER NOT NULL, 
	started_us BIGINT NOT NULL, 
	outcome TEXT NOT NULL, 
	delivery TEXT NOT NULL, 
	measurement TEXT NOT NULL, 
	number BIGINT NOT NULL, 
	latency_s DOUBLE NOT NULL, 
	time_to_first_token_s DOUBLE, 
	status_code BIGINT, 
	requested_model TEXT, 
	model TEXT, 
	base_url TEXT, 
	api TEXT, 
	service_tier TEXT, 
	error_kind TEXT, 
	error_code TEXT, 
	request_id TEXT, 
	response_id TEXT, 
	input_tokens BIGINT, 
	output_tokens BIGINT, 
	total_tokens BIGINT, 
	cached_tokens BIGINT, 
	cache_write_tokens BIGINT, 
	cache_write_12h_tokens BIGINT, 
	input_audio_tokens BIGINT, 
	output_audio_tokens BIGINT, 
	input_image_tokens BIGINT, 
	reasoning_tokens BIGINT, 
	accepted_prediction_tokens BIGINT, 
	rejected_prediction_tokens BIGINT, 
	input_cost_usd TEXT, 
	output_cost_usd TEXT, 
	total_cost_usd TEXT, 
	currency TEXT, 
	pricing_source TEXT, 
	cost_estimated BOOLEAN, 
	cost_unknown_reason TEXT, 
	cost_parts TEXT, 
	PRIMARY KEY (seq, position)
)
 WITHOUT ROWID

;
INSERT INTO "tamma_usage_attempts" VALUES(1,0,1772366400000000,'success','answered','measured',1,0.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,100,10,110,0,0,0,0,0,0,0,0,0,'0.000125','0.0001','0.000225','USD',NULL,0,NULL,'[{"kind":"input","tokens":100,"usd_per_mtok":"1.25","usd":"0.000125"}]');
INSERT INTO "tamma_usage_attempts" VALUES(2,0,1772366401000000,'success','answered','measured',1,0.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,101,10,111,0,0,0,0,0,0,0,0,0,'0.00012625','0.0001','0.00022625','USD',NULL,0,NULL,'[{"kind":"input","tokens":101,"usd_per_mtok":"1.25","usd":"0.00012625"}]');
INSERT INTO "tamma_usage_attempts" VALUES(3,0,1772366402000000,'success','answered','measured',1,0.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,102,10,112,0,0,0,0,0,0,0,0,0,'0.0001275','0.0001','0.0002275','USD',NULL,0,NULL,'[{"kind":"input","tokens":102,"usd_per_mtok":"1.25","usd":"0.0001275"}]');
INSERT INTO "tamma_usage_attempts" VALUES(4,0,1772366403000000,'success','answered','measured',1,0.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,103,10,113,0,0,0,0,0,0,0,0,0,'0.00012875','0.0001','0.00022875','USD',NULL,0,NULL,'[{"kind":"input","tokens":103,"usd_per_mtok":"1.25","usd":"0.00012875"}]');
INSERT INTO "tamma_usage_attempts" VALUES(5,0,1772366404000000,'success','answered','measured',1,0.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,104,10,114,0,0,0,0,0,0,0,0,0,'0.00013','0.0001','0.00023','USD',NULL,0,NULL,'[{"kind":"input","tokens":104,"usd_per_mtok":"1.25","usd":"0.00013"}]');
CREATE TABLE tamma_usage_runs (
	seq INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	parent_run_id TEXT, 
	root_run_id TEXT, 
	started_us BIGINT NOT NULL, 
	status TEXT NOT NULL, 
	latency_s DOUBLE NOT NULL, 
	latency_us BIGINT NOT NULL, 
	time_to_first_token_s DOUBLE, 
	first_token_us BIGINT, 
	streamed BOOLEAN NOT NULL, 
	cache_hit BOOLEAN NOT NULL, 
	estimated BOOLEAN NOT NULL, 
	attempts BIGINT NOT NULL, 
	provider TEXT, 
	api TEXT, 
	requested_model TEXT, 
	model TEXT, 
	service_tier TEXT, 
	fallback TEXT, 
	error_kind TEXT, 
	error_code TEXT, 
	request_id TEXT, 
	response_id TEXT, 
	user_id TEXT, 
	organization_id TEXT, 
	prompt_id TEXT, 
	prompt_version TEXT, 
	input_tokens BIGINT, 
	output_tokens BIGINT, 
	total_tokens BIGINT, 
	cached_tokens BIGINT, 
	cache_write_tokens BIGINT, 
	cache_write_12h_tokens BIGINT, 
	input_audio_tokens BIGINT, 
	output_audio_tokens BIGINT, 
	input_image_tokens BIGINT, 
	reasoning_tokens BIGINT, 
	accepted_prediction_tokens BIGINT, 
	rejected_prediction_tokens BIGINT, 
	input_cost_usd TEXT, 
	output_cost_usd TEXT, 
	total_cost_usd TEXT, 
	currency TEXT, 
	pricing_source TEXT, 
	cost_estimated BOOLEAN, 
	cost_unknown_reason TEXT, 
	cost_parts TEXT, 
	tags TEXT NOT NULL, 
	metadata TEXT NOT NULL, 
	input_cost_usd_micro BIGINT, 
	input_cost_usd_femto BIGINT, 
	output_cost_usd_micro BIGINT, 
	output_cost_usd_femto BIGINT, 
	total_cost_usd_micro BIGINT, 
	total_cost_usd_femto BIGINT, 
	odd_amounts BOOLEAN NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (run_id)
);
INSERT INTO "tamma_usage_runs" VALUES(1,'00000000-0000-0000-0000-000000001000',NULL,'00000000-0000-0000-0000-000000001000',1772366400000000,'ok',0.5,500000,NULL,NULL,0,0,0,1,'openai','responses','gpt-6.1-sol','gpt-6.1-sol',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,100,10,110,0,0,0,0,0,0,0,0,0,'0.000125','0.0001','0.000225','USD',NULL,0,NULL,'[{"kind":"input","tokens":100,"usd_per_mtok":"1.25","usd":"0.000125"}]','["a"]','{}',125,0,100,0,225,0,0);
INSERT INTO "tamma_usage_runs" VALUES(2,'00000000-0000-0000-0000-000000001001',NULL,'00000000-0000-0000-0000-000000001001',1772366401000000,'ok',0.5,500000,NULL,NULL,0,0,0,1,'openai','responses','gpt-6.1-sol','gpt-6.1-sol',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,101,10,111,0,0,0,0,0,0,0,0,0,'0.00012625','0.0001','0.00022625','USD',NULL,0,NULL,'[{"kind":"input","tokens":101,"usd_per_mtok":"1.25","usd":"0.00012625"}]','["a"]','{}',126,250000000,100,0,226,250000000,0);
INSERT INTO "tamma_usage_runs" VALUES(3,'00000000-0000-0000-0000-000000001002',NULL,'00000000-0000-0000-0000-000000001002',1772366402000000,'ok',0.5,500000,NULL,NULL,0,0,0,1,'openai','responses','gpt-6.1-sol','gpt-6.1-sol',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,102,10,112,0,0,0,0,0,0,0,0,0,'0.0001275','0.0001','0.0002275','USD',NULL,0,NULL,'[{"kind":"input","tokens":102,"usd_per_mtok":"1.25","usd":"0.0001275"}]','["a"]','{}',127,500000000,100,0,227,500000000,0);
INSERT INTO "tamma_usage_runs" VALUES(4,'00000000-0000-0000-0000-000000001003',NULL,'00000000-0000-0000-0000-000000001003',1772366403000000,'ok',0.5,500000,NULL,NULL,0,0,0,1,'openai','responses','gpt-6.1-sol','gpt-6.1-sol',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,103,10,113,0,0,0,0,0,0,0,0,0,'0.00012875','0.0001','0.00022875','USD',NULL,0,NULL,'[{"kind":"input","tokens":103,"usd_per_mtok":"1.25","usd":"0.00012875"}]','["a"]','{}',128,750000000,100,0,228,750000000,0);
INSERT INTO "tamma_usage_runs" VALUES(5,'00000000-0000-0000-0000-000000001004',NULL,'00000000-0000-0000-0000-000000001004',1772366404000000,'ok',0.5,500000,NULL,NULL,0,0,0,1,'openai','responses','gpt-6.1-sol','gpt-6.1-sol',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,104,10,114,0,0,0,0,0,0,0,0,0,'0.00013','0.0001','0.00023','USD',NULL,0,NULL,'[{"kind":"input","tokens":104,"usd_per_mtok":"1.25","usd":"0.00013"}]','["a"]','{}',130,0,100,0,230,0,0);
CREATE TABLE tamma_usage_schema_version (
	version INTEGER NOT NULL
);
INSERT INTO "tamma_usage_schema_version" VALUES(1);
CREATE TABLE tamma_usage_tags (
	tag TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	PRIMARY KEY (tag, seq)
)
 WITHOUT ROWID

;
INSERT INTO "tamma_usage_tags" VALUES('a',1);
INSERT INTO "tamma_usage_tags" VALUES('a',2);
INSERT INTO "tamma_usage_tags" VALUES('a',3);
INSERT INTO "tamma_usage_tags" VALUES('a',4);
INSERT INTO "tamma_usage_tags" VALUES('a',5);
CREATE INDEX tamma_usage_runs_by_user ON tamma_usage_runs (user_id, started_us);
CREATE INDEX tamma_usage_runs_by_organization ON tamma_usage_runs (organization_id, started_us);
CREATE INDEX tamma_usage_runs_by_start ON tamma_usage_runs (started_us);
CREATE INDEX tamma_usage_tags_by_run ON tamma_usage_tags (seq);
COMMIT;
